"""How instances of a study came, as the log says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta

from confluent_kafka import murmur2

from schemas import load_topics
from streams.events import SUBJECTS, InstanceReceived
from streams.log import Log, TopicPartition
from streams.step import Input
from streams.wire import Undecodable, decode

# Clocks of the router and of the broker's clients are not the same one.
_CLOCKS_S_MAX = timedelta(minutes=10)


def receipts_of(log: Log, key: bytes, digests: set[str], since: datetime) -> dict[str, Input[InstanceReceived]]:
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
