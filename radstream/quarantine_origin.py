"""What was announced of an instance before it was held: from whom it came, of what kind it is, whether from outside."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from confluent_kafka import murmur2

from schemas import load_topics
from streams.events import SUBJECTS, InstanceQuarantined, InstanceReceived, InstanceValidated, StudyRevision
from streams.identity import partition_key
from streams.log import Log, OffsetOutOfRange, TopicPartition
from streams.wire import Undecodable, UnknownSchema, decode

# Clocks of the router and of the broker's clients are not the same one.
_CLOCKS_S_MAX = timedelta(minutes=10)


def origin_of(log: Log, event: InstanceQuarantined) -> InstanceReceived | InstanceValidated | None:
    """What was announced of the instance before it was held; None where the log has that no more."""
    for ref in event.provenance.inputs:
        try:
            for record in log.read(TopicPartition(ref.topic, ref.partition), ref.offset, ref.offset + 1):
                found = decode(record)
                if isinstance(found, InstanceReceived | InstanceValidated) and found.instance == event.instance:
                    return found
                if isinstance(found, StudyRevision):
                    return _announced(log, event, found)
        except (OffsetOutOfRange, Undecodable, UnknownSchema):
            continue
    return None


def _announced(log: Log, event: InstanceQuarantined, revision: StudyRevision) -> InstanceReceived | None:
    """Of what is held beside its study: its receipt. It is looked for since the study's first, then in all there is."""
    key = partition_key(event.meta.tenant, event.instance.study_uid)
    names = [
        TopicPartition(topic, murmur2(key, log.partitions(topic)))
        for topic in load_topics().physical(SUBJECTS[InstanceReceived])
    ]
    bounds = log.bounds(names)
    since = log.since(names, int((revision.first_received_at - _CLOCKS_S_MAX).timestamp() * 1000))
    later = {name: (max(start, since[name]), end) for name, (start, end) in bounds.items()}
    for name, (start, end) in (*later.items(), *bounds.items()):
        for record in log.read(name, start, end) if start < end else ():
            if record.key != key:
                continue
            with suppress(Undecodable):
                found = decode(record)
                if isinstance(found, InstanceReceived) and found.instance.digest == event.instance.digest:
                    return found
    return None
