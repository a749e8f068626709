"""Objects per minute and core of the step `derive`, copies and pictures, beside others that make copies alone.

Everything is done one after the other, in one thread, so CPU time is that of one core, and it holds on a machine that
does other things too. The step is the real one, over a store in memory.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from bench.contenders import Absent, Contender
from bench.derive_images import CASES, Case
from bench.derive_peers import PEERS, Library, Program
from bench.derive_report import Measured, Report
from bench.machine import machine
from consumers.derive.config import Lossless, Output, Syntax
from consumers.derive.step import Derive
from radstream.errors import Failure
from streams.clock import SystemClock
from streams.events import Instance, InstanceDerived, InstanceValidated, Meta, Provenance, Technical
from streams.generation import StepIdentity, build
from streams.memory_store import MemoryStore
from streams.step import Done, Input, NewObject
from streams.wire import Record

OWN: Final[dict[str, Syntax]] = {
    "radstream": "htj2k",
    "radstream-rpcl": "htj2k-rpcl",
    "radstream-jpegls": "jpeg-ls",
    "radstream-pictures": "none",
}
_OWN_WHAT: Final[dict[Syntax, str]] = {
    "htj2k": "HTJ2K and its proof, pictures",
    "htj2k-rpcl": "HTJ2K RPCL and its proof, pictures",
    "jpeg-ls": "JPEG-LS and its proof, pictures",
    "none": "pictures alone",
}
NAMES: Final = (*OWN, *PEERS)


@dataclass(frozen=True)
class Asked:
    """Each contender works on each case for `seconds`, and on each of its images at least once."""

    cases: Sequence[str]
    contenders: Sequence[str]
    seconds: int
    folder: Path


@dataclass(frozen=True)
class Copied:
    """Of one object: bytes of the copy, None where only pictures were asked for, and the CPU seconds of a child."""

    length: int | None
    child_cpu_s: float = 0.0


def measure(asked: Asked, progress: Callable[[str], None]) -> Report:
    """Raises Failure where a contender fails at what it was asked for."""
    load = os.getloadavg()[0]
    peers = {name: PEERS[name] for name in asked.contenders if name in PEERS}
    absent = [Absent(name, one.missing, one.install) for name, one in peers.items() if one.missing]
    own = [name for name in asked.contenders if name in OWN]
    present = [name for name, one in peers.items() if not one.missing]
    measured, sizes = [], {}
    with tempfile.TemporaryDirectory(prefix="radstream-bench-", dir=asked.folder) as folder:
        for case in (CASES[name] for name in asked.cases):
            progress(f"making images: {case.name}")
            files = case.files()
            sizes[case.name] = sum(map(len, files)) // len(files)
            for name in (*own, *present):
                progress(f"{case.name}: {name}")
                one = _own(OWN[name], files) if name in OWN else _peer(peers[name], files, Path(folder))
                measured.append(_measured(case, name, files, one, asked.seconds))
    return Report(
        at=datetime.now(UTC),
        machine=machine(asked.folder),
        seconds=asked.seconds,
        load_average=load,
        file_bytes=sizes,
        aims={name: aim for name in asked.cases if (aim := CASES[name].aim_per_minute) is not None},
        contenders=[
            *(Contender(name, _OWN_WHAT[OWN[name]], f"radstream {build()}") for name in own),
            *(Contender(name, peers[name].what, peers[name].version) for name in present),
        ],
        absent=absent,
        measured=measured,
    )


def _measured(case: Case, name: str, files: Sequence[bytes], copy: Callable[[int], Copied], seconds: int) -> Measured:
    """The first of the images goes once before, so that code is loaded."""
    copy(0)
    cpu_s, lengths, objects = 0.0, dict[int, int | None](), 0
    began_cpu, began = time.process_time(), time.perf_counter()
    while objects < len(files) or time.perf_counter() - began < seconds:
        index = objects % len(files)
        copied = copy(index)
        lengths[index] = copied.length
        cpu_s += copied.child_cpu_s
        objects += 1
    wall_s = time.perf_counter() - began
    cpu_s += time.process_time() - began_cpu if cpu_s == 0.0 else 0.0
    made = sum(length for length in lengths.values() if length is not None)
    done_bytes = objects / len(files) * sum(map(len, files))
    return Measured(
        case=case.name,
        contender=name,
        objects=objects,
        cpu_ms_per_object=round(1000 * cpu_s / objects, 2),
        wall_ms_per_object=round(1000 * wall_s / objects, 2),
        objects_per_minute_and_core=round(60 * objects / cpu_s, 1),
        objects_per_minute_by_the_clock=round(60 * objects / wall_s, 1),
        mb_per_s_of_cpu=round(done_bytes / 1e6 / cpu_s, 1),
        ratio=round(sum(map(len, files)) / made, 2) if made else None,
        proven=name in OWN and bool(made),
    )


def _peer(peer: Program | Library, files: Sequence[bytes], folder: Path) -> Callable[[int], Copied]:
    if isinstance(peer, Library):
        return lambda index: Copied(peer.copy(files[index]))
    sources = [folder / f"{index}.dcm" for index in range(len(files))]
    for source, data in zip(sources, files, strict=True):
        source.write_bytes(data)

    def copy(index: int) -> Copied:
        made = folder / "made.dcm"
        made.unlink(missing_ok=True)
        return Copied(*peer.copy(sources[index], made))

    return copy


def _own(syntax: Syntax, files: Sequence[bytes]) -> Callable[[int], Copied]:
    """The step as the runner calls it, from the stored bytes to the bytes of the object to store."""
    store, clock = MemoryStore(), SystemClock()
    identity = StepIdentity(name=Derive.name, build=build(), generation=1, config_digest="0" * 64)
    step = Derive(identity, store, Output(lossless=Lossless(syntax=syntax)))
    items = [_validated(store, data) for data in files]

    def copy(index: int) -> Copied:
        (outcome,) = step([items[index]], clock)
        if not isinstance(outcome, Done) or not outcome.objects:
            raise Failure(f"radstream: no copies of image {index}: {outcome}")
        (event,) = outcome.events(tuple(MemoryStore().create(new) for new in outcome.objects))
        if not isinstance(event, InstanceDerived) or (event.notes and syntax != "none"):
            raise Failure(f"radstream: no copy of image {index}: {event}")
        return Copied(next((one.object.length for one in event.representations if one.kind == "lossless"), None))

    return copy


def _validated(store: MemoryStore, data: bytes) -> Input[InstanceValidated]:
    digest, now = sha256(data).hexdigest(), datetime.now(UTC)
    event = InstanceValidated(
        meta=Meta(event_id=digest, tenant="bench", site="bench", lane="routine", subject=digest, occurred_at=now),
        provenance=Provenance(step="validate", build=build(), generation=1, config_digest=""),
        instance=Instance(
            study_uid="",
            series_uid="",
            sop_instance_uid="",
            sop_class_uid="",
            transfer_syntax_uid="",
            digest=digest,
        ),
        object=store.create(NewObject("bench", "hot", f"bench/{digest}", data)).ref,
        technical=Technical(),
    )
    return Input(event, Record("imaging.instance.validated", "bench", 0, 0, 0, None, None))
