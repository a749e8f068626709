"""Receivers of images side by side: this router, with its promise and without, and what else a hospital could run.

For each case every receiver gets the same images over as many associations, one receiver after the other. A receiver
is started anew for each case, in an empty folder, and asked afterwards what it really holds.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from secrets import randbelow
from typing import Final

import msgspec
from pydicom.dataset import Dataset

from bench import ingest_stack
from bench.contenders import Absent
from bench.ingest_cases import CASES, Case
from bench.ingest_job import Job, Result, send
from bench.ingest_load import encoded, images, load
from bench.ingest_peers import RECEIVERS, REFERENCE
from bench.ingest_profile import profiled
from bench.ingest_receivers import NotMeasured
from bench.ingest_report import Measured, Report, compared, middle
from bench.ingest_stack import Promise, promised
from bench.ingest_targets import Opening, Target, openings_of
from bench.ingest_uids import RUNS, STUDY_BYTES_MAX, instance_uid, run_of
from bench.machine import machine
from bench.processes import Meter, Usage
from radstream.errors import Failure
from radstream.quantiles import latency

NAMES: Final = (*ingest_stack.WHAT, *RECEIVERS)
_SAMPLE_S: Final = 0.2
_WARM_UP: Final = 8

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What is to be measured. `folder` is where receivers write; `programs` is looked in first for peers.

    A CT case has `instances`, and each case so many `rounds` through all receivers. After `seconds_max` no further
    instance is sent. Profiles go into `profiles`.
    """

    receivers: Sequence[str]
    cases: Sequence[str]
    instances: int
    rounds: int
    seconds_max: float
    folder: Path
    programs: Path | None = None
    profiles: Path | None = None


def measure(asked: Asked, progress: Progress) -> Report:
    """Raises Failure where the profiler or the sender cannot be used; a receiver that cannot is said to be absent."""
    at, load_average = datetime.now(UTC), os.getloadavg()[0]
    pictures = images()
    absent: list[Absent] = []
    measured: list[Measured] = []
    not_measured: list[str] = []
    with ExitStack() as stack:
        promises = _promises(asked, stack, absent, progress)
        openings, described = openings_of(asked.receivers, asked.programs, promises, absent)
        for case in (CASES[name] for name in asked.cases):
            rounds: dict[str, list[Measured]] = {name: [] for name in openings}
            for number, (name, opening) in product(range(1, asked.rounds + 1), openings.items()):
                progress(f"{case.name}: {name}" + (f", round {number} of {asked.rounds}" if asked.rounds > 1 else ""))
                try:
                    rounds[name].append(_measured(asked, case, name, opening, pictures[case.image]))
                except NotMeasured as error:
                    not_measured.append(f"{case.name}, {name}: {error}")
            measured += [middle(found) for found in rounds.values() if found]
    return Report(
        at=at,
        machine=machine(asked.folder),
        load_average=round(load_average, 2),
        reference=REFERENCE,
        instances=asked.instances,
        rounds=asked.rounds,
        seconds_max=asked.seconds_max,
        image_bytes={kind: len(encoded(picture)) for kind, picture in pictures.items()},
        durable=all(promise.durable for promise in promises.values()) if promises else None,
        profiled=asked.profiles is not None,
        receivers=described,
        absent=absent,
        measured=compared(measured, REFERENCE),
        not_measured=not_measured,
    )


def _promises(asked: Asked, stack: ExitStack, absent: list[Absent], progress: Progress) -> dict[int, Promise]:
    """A router in a stack, by its number of processes, for each number that is asked for."""
    promises: dict[int, Promise] = {}
    of_the_stack = [name for name in asked.receivers if name in ingest_stack.WHAT]
    for processes in sorted({ingest_stack.PROCESSES[name] for name in of_the_stack}):
        try:
            promises[processes] = stack.enter_context(
                promised(processes, lambda line: progress(f"a stack for the router: {line}"))
            )
        except Failure as error:
            absent += [
                Absent(name, str(error), "radstream doctor says what is missing")
                for name in of_the_stack
                if ingest_stack.PROCESSES[name] == processes
            ]
    return promises


def _measured(asked: Asked, case: Case, name: str, opening: Opening, image: Dataset) -> Measured:
    """Raises NotMeasured where the receiver does not start, or ends meanwhile."""
    with tempfile.TemporaryDirectory(prefix="radstream-bench-", dir=asked.folder) as work:
        with opening(Path(work) / name) as target:
            job = _job(asked, case, target, image)
            send(msgspec.structs.replace(job, run=randbelow(RUNS), instances=_WARM_UP, workers=1))
            meter = Meter(target.pids, sample_s=_SAMPLE_S)
            with meter.running(), _profile(asked, case, name, target):
                result = send(job)
            usage = meter.usage()
        held = {uid for uid in target.held(len(job.load.data_set)) if run_of(uid) == job.run}
    return _summed(case, name, job, result, held, usage)


def _job(asked: Asked, case: Case, target: Target, image: Dataset) -> Job:
    instances = case.instances(asked.instances)
    bound = load(case, image, target.called_ae, target.calling_ae)
    return Job(
        host=target.host,
        port=target.port,
        load=bound,
        run=randbelow(RUNS),
        instances=instances,
        workers=min(case.associations, instances),
        one_each=case.one_each,
        study_instances=max(1, STUDY_BYTES_MAX // len(bound.data_set)),
        seconds_max=asked.seconds_max,
    )


def _profile(asked: Asked, case: Case, name: str, target: Target) -> AbstractContextManager[None]:
    ours = name in ingest_stack.WHAT or RECEIVERS[name].is_ours
    if asked.profiles is None or not ours:
        return nullcontext()
    return profiled(next(iter(target.pids.values())), asked.profiles / f"{case.name}-{name}.txt")


def _summed(case: Case, name: str, job: Job, result: Result, held: set[str], usage: Mapping[str, Usage]) -> Measured:
    workers = result.workers
    acknowledged = {instance_uid(job.run, one.worker, number).decode() for one in workers for number in one.numbers}
    count = len(acknowledged)
    seconds = max(one.ended for one in workers) - min(one.started for one in workers)
    failures: Counter[str] = Counter()
    for one in workers:
        failures.update(one.failures)
    own, *beside = usage.items()
    per_1000 = 1000 / count if count else 0.0
    return Measured(
        case=case.name,
        receiver=name,
        acknowledged=count,
        held=len(held),
        missing=len(acknowledged - held),
        failures=dict(failures),
        seconds=round(seconds, 3),
        instances_per_s=round(count / seconds, 1),
        mb_per_s=round(count * len(job.load.data_set) / seconds / 1e6, 1),
        c_store=latency([took for one in workers for took in one.seconds], digits=2),
        cpu_s_per_1000=round(own[1].cpu_s * per_1000, 3),
        sender_cpu_s_per_1000=round(result.cpu_s * per_1000, 3),
        memory_bytes_max=own[1].memory_bytes_max,
        beside_cpu_s_per_1000={part: round(used.cpu_s * per_1000, 3) for part, used in beside},
    )
