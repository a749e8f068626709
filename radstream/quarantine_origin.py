"""What was announced of instances before they were held: from whom they came, of what kind, whether from outside."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from confluent_kafka import murmur2

from schemas import load_topics
from streams.events import SUBJECTS, InstanceQuarantined, InstanceReceived, InstanceValidated, StudyRevision
from streams.identity import partition_key
from streams.log import Log, OffsetOutOfRange, TopicPartition
from streams.step import Input
from streams.wire import Undecodable, UnknownSchema, decode

# Clocks of the router and of the broker's clients are not the same one.
_CLOCKS_S_MAX = timedelta(minutes=10)

Origin = InstanceReceived | InstanceValidated


def origin_of(log: Log, event: InstanceQuarantined) -> Origin | None:
    """What was announced of the instance before it was held; None where the log has that no more."""
    return origins_of(log, [event]).get(event.instance.digest)


def announced(log: Log, tenant: str, study_uid: str, digest: str, since: datetime) -> Input[InstanceReceived] | None:
    """How an instance came, received at about `since`; None where the log has that no more."""
    return _announced(log, partition_key(tenant, study_uid), {digest}, since).get(digest)


def origins_of(log: Log, events: Iterable[InstanceQuarantined]) -> Mapping[str, Origin]:
    """As `origin_of`, by digest. What was held beside its study is looked for once for all of a study."""
    found: dict[str, Origin] = {}
    beside: dict[bytes, list[tuple[InstanceQuarantined, StudyRevision]]] = defaultdict(list)
    for event in events:
        match _input_of(log, event):
            case StudyRevision() as revision:
                beside[partition_key(event.meta.tenant, event.instance.study_uid)].append((event, revision))
            case InstanceReceived() | InstanceValidated() as origin:
                found[event.instance.digest] = origin
    for key, held in beside.items():
        since = min(revision.first_received_at for _, revision in held)
        came = _announced(log, key, {event.instance.digest for event, _ in held}, since)
        found |= {digest: item.event for digest, item in came.items()}
    return found


def _input_of(log: Log, event: InstanceQuarantined) -> Origin | StudyRevision | None:
    """What the step that held it has read."""
    for ref in event.provenance.inputs:
        try:
            for record in log.read(TopicPartition(ref.topic, ref.partition), ref.offset, ref.offset + 1):
                found = decode(record)
                if isinstance(found, InstanceReceived | InstanceValidated) and found.instance == event.instance:
                    return found
                if isinstance(found, StudyRevision):
                    return found
        except (OffsetOutOfRange, Undecodable, UnknownSchema):
            continue
    return None


def _announced(log: Log, key: bytes, digests: set[str], since: datetime) -> dict[str, Input[InstanceReceived]]:
    """Receipts of one study's instances. They are looked for since the study's first, then in all there is."""
    names = [
        TopicPartition(topic, murmur2(key, log.partitions(topic)))
        for topic in load_topics().physical(SUBJECTS[InstanceReceived])
    ]
    bounds = log.bounds(names)
    first = log.since(names, int((since - _CLOCKS_S_MAX).timestamp() * 1000))
    later = {name: (max(start, first[name]), end) for name, (start, end) in bounds.items()}
    found: dict[str, Input[InstanceReceived]] = {}
    for name, (start, end) in (*later.items(), *bounds.items()):
        for item in _received(log, key, name, start, end):
            if item.event.instance.digest in digests:
                found.setdefault(item.event.instance.digest, item)
            if len(found) == len(digests):
                return found
    return found


def _received(log: Log, key: bytes, name: TopicPartition, start: int, end: int) -> Iterator[Input[InstanceReceived]]:
    for record in log.read(name, start, end) if start < end else ():
        if record.key == key:
            with suppress(Undecodable):
                if isinstance(found := decode(record), InstanceReceived):
                    yield Input(found, record)
