"""What a replay would read and about how long it would take: counted, and tried on a few records, written nowhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import msgspec

from radstream.replay_steps import ReplayStep
from streams.clock import SystemClock
from streams.config import Config, Site, Store
from streams.events import Event, InstanceReceived, InstanceValidated, Replay
from streams.generation import StepIdentity, build, generations, holders_of
from streams.log import Log
from streams.replays import place_of, wanted_key
from streams.s3 import S3Store
from streams.step import Input
from streams.wire import Undecodable, decode

_SAMPLED = 32


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """`seconds` is what reading and computing would take by the sample; None where there is nothing."""

    step: str
    generation: int
    records: int
    instances: int
    bytes: int
    unreadable: int
    sampled: int
    seconds: float | None


def estimate(config: Config, log: Log, step: ReplayStep, wanted: Replay) -> Estimate:
    """Reads every record that the replay would. Raises LogAway, LogRefused, UnknownSchema."""
    tenant = config.section("site", Site).tenant
    generation = max(holders_of(generations(log), tenant, step.name), default=0) + 1
    instances: set[str] = set()
    sample: list[Input[Event]] = []
    records = size = unreadable = 0
    every = max(1, sum(end - wanted.starts[name] for name, end in wanted.ends.items()) // _SAMPLED)
    for item in _inputs(log, wanted, tenant):
        records += 1
        if item is None:
            unreadable += 1
            continue
        instances.add(item.event.meta.subject)
        if isinstance(item.event, InstanceReceived | InstanceValidated):
            size += item.event.object.length
        if len(sample) < _SAMPLED and (records % every == 0 or wanted.study_uid is not None):
            sample.append(item)
    seconds_each = _tried(config, step, generation, sample)
    return Estimate(
        step=step.name,
        generation=generation,
        records=records,
        instances=len(instances),
        bytes=size,
        unreadable=unreadable,
        sampled=len(sample),
        seconds=None if seconds_each is None else round(records * seconds_each, 3),
    )


def _inputs(log: Log, wanted: Replay, tenant: str) -> Iterator[Input[Event] | None]:
    """None for a record that nobody can read."""
    key = wanted_key(wanted, tenant)
    for name, end in wanted.ends.items():
        for record in log.read(place_of(name), wanted.starts[name], end):
            if key is None or record.key == key:
                try:
                    yield Input(decode(record), record)
                except Undecodable:
                    yield None


def _tried(config: Config, step: ReplayStep, generation: int, sample: list[Input[Event]]) -> float | None:
    """Seconds for each record, worked through by as many threads as the replay would have."""
    if not sample:
        return None
    identity = StepIdentity(step.name, build(), generation, step.config_digest)
    made = step.make(identity, S3Store(config.section("store", Store)))
    clock = SystemClock()
    began_s = time.monotonic()
    with ThreadPoolExecutor(step.settings.threads) as pool:
        list(pool.map(lambda item: made([item], clock), sample))
    return (time.monotonic() - began_s) / len(sample)
