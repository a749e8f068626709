"""The whole pipeline: a generated CT study from the first C-STORE to the last catalog row with its derivation.

A short study of its own goes first, so that code is loaded, connections are open and the Java parts are warm.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from secrets import randbelow

from bench.machine import Machine, machine
from bench.processes import Meter
from radstream.catalog_times import CatalogTimes, catalog_times
from radstream.errors import Failure
from radstream.items import Item
from radstream.phantom import Study, encoded
from radstream.quantiles import Latency, latency
from radstream.send import router_of
from radstream.sending import SUCCESS, SendResult, Sent, send_items
from streams.config import Config

WARM_UP = 60
MATRIX = 512
POLL_S = 0.1
STALLED_S_MAX = 60.0
SENDER = "sender (this command)"


@dataclass(frozen=True)
class Report:
    """`seconds` is from the first C-STORE to the last catalog row with a derivation.

    CPU is user and system time in milliseconds for each instance; memory is the highest PSS in bytes, the sender's with
    every image in it.
    """

    at: datetime
    machine: Machine
    instances: int
    associations: int
    seconds: float
    instances_per_s: float
    sending_s: float
    c_store: Latency
    c_store_to_catalog: Latency
    cpu_ms_per_instance: float
    cpu_ms_by_process: Mapping[str, float]
    memory_bytes_by_process: Mapping[str, int]
    sent_bytes: int
    lossless_bytes: int
    study_uid: str


class Sender:
    """Sends one study and remembers when each C-STORE began, and what making the images cost."""

    def __init__(self, config: Config, associations: int, progress: Callable[[int], None]) -> None:
        self._target = router_of(config)
        self._associations = associations
        self._progress = progress
        self.answers: list[Sent] = []
        self.began: dict[str, datetime] = {}

    def send(self, items: Sequence[Item]) -> SendResult:
        """Raises Failure unless every image is acknowledged."""
        by_name = {item.name: item.sop_instance for item in items}

        def settled(one: Sent) -> None:
            self.answers.append(one)
            self.began[by_name[one.name]] = datetime.fromtimestamp(time.time() - one.seconds, UTC)
            self._progress(len(self.answers))

        result = send_items(items, self._target, associations=self._associations, on_sent=settled)
        if result.acknowledged != len(items):
            raise Failure(
                f"only {result.acknowledged} of {len(items)} images were acknowledged {result.statuses}; "
                "see: radstream status"
            )
        return result


def made(study: Study) -> list[Item]:
    """Every image of the study, in memory: making them is not the pipeline's work and comes before the clock starts."""
    items = []
    for item in encoded(study.seed, study.slices, study.matrix):
        data = item.data_set()
        items.append(replace(item, data_set=partial(bytes, data)))
    return items


def study_of(instances: int) -> Study:
    """A study that was never sent: two localiser images, the rest half lung and half soft-tissue kernel."""
    lung = (instances - 2) // 2
    return Study(seed=randbelow(1 << 31), slices=(2, lung, instances - 2 - lung), matrix=MATRIX)


def measure(
    config: Config, roots: Mapping[str, int], instances: int, associations: int, progress: Callable[[str, int], None]
) -> Report:
    """Runs the measurement against running parts; `roots` are their process ids by name. Raises Failure."""
    with catalog_times(config) as catalog:
        warm_up = study_of(WARM_UP)
        Sender(config, associations, lambda count: progress("warming up", count)).send(made(warm_up))
        _wait(catalog, warm_up, lambda count: progress("warming up", count))
        study = study_of(instances)
        items = made(study)
        sender = Sender(config, associations, lambda count: progress("sent", count))
        meter = Meter({**roots, SENDER: os.getpid()})
        with meter.running():
            began, began_s = datetime.now(UTC), time.monotonic()
            result = sender.send(items)
            _wait(catalog, study, lambda count: progress("in the catalog", count))
            seconds = time.monotonic() - began_s
        rows = catalog.cataloged_since(began)
        lossless = catalog.lossless_bytes(study.uid)
    usage = meter.usage()
    cpu = {name: round(1000 * used.cpu_s / instances, 2) for name, used in usage.items()}
    return Report(
        at=began,
        machine=machine(config.path.parent),
        instances=instances,
        associations=associations,
        seconds=round(seconds, 2),
        instances_per_s=round(instances / seconds, 1),
        sending_s=result.seconds,
        c_store=_measured([one.seconds for one in sender.answers if one.status == SUCCESS]),
        c_store_to_catalog=_measured([(rows[sop] - start).total_seconds() for sop, start in sender.began.items()]),
        cpu_ms_per_instance=round(sum(cpu.values()), 2),
        cpu_ms_by_process=cpu,
        memory_bytes_by_process={name: used.memory_bytes_max for name, used in usage.items()},
        sent_bytes=result.bytes,
        lossless_bytes=lossless,
        study_uid=study.uid,
    )


def _measured(seconds: list[float]) -> Latency:
    found = latency(seconds)
    if found is None:
        raise Failure("nothing was measured: no image was acknowledged")
    return found


def _wait(catalog: CatalogTimes, study: Study, progress: Callable[[int], None]) -> None:
    """Until every image of the study has its derivation in the catalog. Raises Failure where nothing moves."""
    wanted, before, moved_s = sum(study.slices), -1, time.monotonic()
    while (count := catalog.derived(study.uid)) < wanted:
        progress(count)
        if count != before:
            before, moved_s = count, time.monotonic()
        if time.monotonic() - moved_s > STALLED_S_MAX:
            raise Failure(
                f"{count} of {wanted} images are in the catalog with their derivation, and nothing moved for "
                f"{STALLED_S_MAX:.0f} s; see who is behind: radstream lag"
            )
        time.sleep(POLL_S)
    progress(count)
