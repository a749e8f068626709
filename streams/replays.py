"""What the log says of replays: which there are, what each reads, and how far each has come.

A replay is a generation with a name (`streams.generation`): a candidate, which is not current before it is switched
to. Its phases are further records of its claim, so whoever reads the log from its beginning knows them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
from confluent_kafka import murmur2

from schemas import load_topics
from streams.clock import Clock
from streams.config import Site
from streams.events import Replay, StepGeneration
from streams.generation import generations, holders_of, meta_of, write
from streams.identity import partition_key
from streams.log import Log, TopicPartition
from streams.wire import SchemaIds

TOPIC = "imaging.replay"

Phase = Literal["completed", "switched", "published"]
_ORDINALS: dict[str, int] = {"claimed": 0, "completed": 1, "switched": 2, "published": 3}


@dataclass(frozen=True)
class KnownReplay:
    """`claim` is the record that has the number; `reached` says when each phase was."""

    claim: StepGeneration
    replay: Replay
    reached: dict[str, datetime]

    @property
    def step(self) -> str:
        return self.claim.step

    @property
    def generation(self) -> int:
        return self.claim.number

    @property
    def group(self) -> str:
        """The consumer group that reads for it, and for nothing else."""
        return group_of(self.step, self.generation)

    @property
    def total(self) -> int:
        """Records to read."""
        return sum(end - self.replay.starts[place] for place, end in self.replay.ends.items())


def group_of(step: str, generation: int) -> str:
    return f"replay-{step}-{generation}"


def known(log: Log, tenant: str) -> list[KnownReplay]:
    """Every replay of a tenant, the oldest first. Raises LogAway, LogRefused, UnknownSchema, Undecodable."""
    said = [event for event in generations(log) if event.meta.tenant == tenant]
    holders = {step: holders_of(said, tenant, step) for step in {event.step for event in said}}
    claims: dict[tuple[str, str], StepGeneration] = {}
    reached: dict[tuple[str, str], dict[str, datetime]] = defaultdict(dict)
    for event in said:
        # A claim that came second to its number was made again, with another one.
        if holders[event.step].get(event.number) == event.digest:
            claims.setdefault((event.step, event.digest), event)
            reached[event.step, event.digest].setdefault(event.phase, event.meta.occurred_at)
    return [KnownReplay(claim, claim.replay, reached[key]) for key, claim in claims.items() if claim.replay is not None]


def came_to(log: Log, ids: SchemaIds, site: Site, clock: Clock, replay: KnownReplay, phase: Phase) -> None:
    """Says once that a replay came to a phase. Raises LogAway, LogRefused."""
    if phase in replay.reached:
        return
    claim = replay.claim
    meta = meta_of(site, clock, claim.meta.subject, _ORDINALS[phase], claim.number)
    write(log, ids, site, msgspec.structs.replace(claim, meta=meta, phase=phase))


def planned(
    log: Log, tenant: str, step: str, *, name: str, since: datetime | None = None, study_uid: str | None = None
) -> Replay:
    """What a replay of a step reads, fixed as the log stands now: nothing, where there is none of it.

    A time is when a record was written. A study is in one partition of each topic, which is read for it alone, from
    its first record on. Raises LogAway, LogRefused.
    """
    topics = load_topics()
    names = [
        TopicPartition(physical, number)
        for topic in topics.groups[step].reads
        # Studies as wholes, which the group reads too, are another step's (docs/decisions/0051).
        if topics.topics[topic].kind != "decision"
        for physical in topics.physical(topic)
        for number in _numbers(log.partitions(physical), tenant, study_uid)
    ]
    bounds = log.bounds(names)
    starts = {place: first for place, (first, _) in bounds.items()}
    if since is not None:
        starts.update(log.since(names, int(since.timestamp() * 1000)))
    wanted = {place: end for place, (_, end) in bounds.items() if starts[place] < end}
    if study_uid is not None:
        key = partition_key(tenant, study_uid)
        firsts = {place: _first_of(log, key, place, starts[place], end) for place, end in wanted.items()}
        starts = {place: first for place, first in firsts.items() if first is not None}
        wanted = {place: wanted[place] for place in starts}
    return Replay(
        name=name,
        since=since,
        study_uid=study_uid,
        starts={place_name(place): starts[place] for place in wanted},
        ends={place_name(place): end for place, end in wanted.items()},
    )


def _first_of(log: Log, key: bytes, place: TopicPartition, start: int, end: int) -> int | None:
    return next((record.offset for record in log.read(place, start, end) if record.key == key), None)


def _numbers(count: int, tenant: str, study_uid: str | None) -> range | tuple[int]:
    return range(count) if study_uid is None else (murmur2(partition_key(tenant, study_uid), count),)


def place_name(place: TopicPartition) -> str:
    return f"{place.topic}/{place.partition}"


def place_of(name: str) -> TopicPartition:
    topic, _, number = name.rpartition("/")
    return TopicPartition(topic, int(number))


def wanted_key(replay: Replay, tenant: str) -> bytes | None:
    """The key of the records to work through, or None for all of them."""
    return None if replay.study_uid is None else partition_key(tenant, replay.study_uid)
