"""Images that are in no chain: validated and not linked yet, or held. What their bytes are, their event says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass

from radstream.verifying.chains import Chains, again
from radstream.verifying.finding import NEXT, Finding
from schemas import load_topics
from streams.events import SUBJECTS, InstanceQuarantined, InstanceValidated
from streams.identity import partition_key
from streams.log import Log, TopicPartition
from streams.wire import Record, Undecodable, decode

# At about 200 bytes each. For each so many, the partition's chains are read once more.
WINDOW = 100_000
# What the assessment of a study holds, or a person, was validated before; so it is linked like all that was.
_BY_VALIDATE = "validate"

Loose = InstanceValidated | InstanceQuarantined


@dataclass(frozen=True)
class Unlinked:
    """`at_ms` is when its record was written (Unix time)."""

    at_ms: int
    event: Loose

    @property
    def is_held(self) -> bool:
        return isinstance(self.event, InstanceQuarantined)


_Window = dict[bytes, tuple[TopicPartition, int]]


def unlinked(log: Log, chains: Chains, tenant: str, only: Collection[str]) -> Iterator[Unlinked]:
    """Of one partition, each once; an image that was held and is linked by now, since it was released, is left out.

    A chain says how far it has seen its study, by topic; what came later may be linked under that digest by an earlier
    verdict. `only` are study UIDs, none for all. Raises LogAway, Stop, UnknownSchema.
    """
    keys = {partition_key(tenant, study_uid) for study_uid in only}
    window: _Window = {}
    for partition, record in _records(log, chains, keys):
        if (event := _loose(record)) is not None:
            window.setdefault(bytes.fromhex(event.instance.digest), (partition, record.offset))
        if len(window) >= WINDOW:
            yield from _left(log, chains, window)
            window = {}
    yield from _left(log, chains, window)


def unchained(event: Loose) -> Finding:
    return Finding(
        kind="unchained",
        text="it was validated, and is in no chain",
        next=NEXT["unchained"],
        study_uid=event.instance.study_uid,
        series_uid=event.instance.series_uid,
        sop_instance_uid=event.instance.sop_instance_uid,
        key=event.object.key,
    )


def _records(log: Log, chains: Chains, keys: Collection[bytes]) -> Iterator[tuple[TopicPartition, Record]]:
    """Those that the chains have not seen."""
    topics = (
        name for kind in (InstanceValidated, InstanceQuarantined) for name in load_topics().physical(SUBJECTS[kind])
    )
    partitions = [TopicPartition(name, chains.number) for name in topics]
    for partition, (start, end) in log.bounds(partitions).items():
        for record in log.read(partition, start, end) if end > start else ():
            study = chains.studies.get((record.key or b"").decode("utf-8", "replace"))
            seen = -1 if study is None else study.covers.get(record.topic_id, -1)
            if record.offset > seen and (not keys or record.key in keys):
                yield partition, record


def _left(log: Log, chains: Chains, window: _Window) -> Iterator[Unlinked]:
    """Those of a window that no record links: only where they stand was kept of them."""
    if window:
        for one in again(log, chains, None):
            for link in one.event.links:
                window.pop(link.digest, None)
    places: dict[TopicPartition, set[int]] = defaultdict(set)
    for partition, offset in window.values():
        places[partition].add(offset)
    for partition, offsets in places.items():
        for record in log.read(partition, min(offsets), max(offsets) + 1):
            if record.offset in offsets and (event := _loose(record)) is not None:
                yield Unlinked(record.timestamp_ms, event)


def _loose(record: Record) -> Loose | None:
    with suppress(Undecodable):
        match decode(record):
            case InstanceValidated() as event if event.instance.study_uid:
                return event
            case InstanceQuarantined() as event if event.provenance.step == _BY_VALIDATE:
                return event
    return None
