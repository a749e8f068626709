"""What a replay made, written once more where its readers look for it: in the topics of its subjects, in the bulk lane.

The bytes are those that wait in the topic of replays, so the event ids are too: who is interrupted begins again, and a
record that is there twice has no second effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future

from schemas import load_topics
from streams.acknowledged import acknowledged, begun
from streams.log import Delivery, Log, TopicPartition
from streams.replaying import GENERATION_HEADER, STEP_HEADER
from streams.replays import TOPIC, KnownReplay
from streams.wire import Message, Record

_AT_ONCE = 1000
_LINGER_MS = 25
_ACKNOWLEDGED_S_MAX = 30.0
_OURS = {STEP_HEADER, GENERATION_HEADER}

Told = Callable[[int, int, int], None]
"""Told how many records of the topic are looked at, of how many, and how many of them were published."""


def publish(log: Log, replay: KnownReplay, told: Told = lambda *_: None) -> int:
    """Returns how many records it wrote, all acknowledged. Raises LogAway, LogRefused, Stop."""
    names = [TopicPartition(TOPIC, number) for number in range(log.partitions(TOPIC))]
    bounds = log.bounds(names)
    total = sum(end - first for first, end in bounds.values())
    producer = log.producer(linger_ms=_LINGER_MS, patient=True)
    sent: list[Future[Delivery]] = []
    seen = published = 0
    try:
        for record in _records(log, {name: place for name, place in bounds.items() if place[0] < place[1]}):
            seen += 1
            if _is_of(record, replay):
                sent.append(begun(producer.send(_published(record))))
                published += 1
            if len(sent) >= _AT_ONCE or seen == total:
                acknowledged(sent, _ACKNOWLEDGED_S_MAX)
                sent.clear()
            told(seen, total, published)
    finally:
        producer.close(0.0)
    return published


def _records(log: Log, bounds: dict[TopicPartition, tuple[int, int]]) -> Iterator[Record]:
    for name, (first, end) in bounds.items():
        yield from log.read(name, first, end)


def _is_of(record: Record, replay: KnownReplay) -> bool:
    return (record.header(STEP_HEADER), record.header(GENERATION_HEADER)) == (replay.step, str(replay.generation))


def _published(record: Record) -> Message:
    topic = load_topics().in_lane(record.header("schema_subject") or "", "bulk")
    return Message(topic, record.key, record.value, tuple(one for one in record.headers if one[0] not in _OURS))
