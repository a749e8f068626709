"""A look at the first records from many places at once: one consumer, and a fetch or two however many partitions."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError

from streams.kafka_consumer import to_record
from streams.kafka_errors import translated
from streams.log import OffsetOutOfRange, TopicPartition
from streams.wire import Record

_LOOK_S = 2.0
_POLL_S = 0.1
_SETTINGS: dict[str, Any] = {
    "group.protocol": "consumer",
    # Never used: partitions are assigned by hand and nothing is committed.
    "group.id": "none",
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 50,
    # A look, not a read: librdkafka would fetch a whole backlog ahead.
    "fetch.message.max.bytes": 64 << 10,
    "queued.min.messages": 1,
    # Whoever asks hears of errors from the call.
    "log_level": 0,
}


def heads(
    settings: Mapping[str, Any],
    positions: Mapping[TopicPartition, int],
    topic_ids: Mapping[str, str],
    records_max: int,
) -> dict[TopicPartition, list[Record]]:
    """As `streams.log.Log.heads`."""
    found: dict[TopicPartition, list[Record]] = {name: [] for name in positions}
    if not positions:
        return found
    consumer = confluent_kafka.Consumer({**settings, **_SETTINGS})
    try:
        consumer.assign([confluent_kafka.TopicPartition(*_place(name), offset) for name, offset in positions.items()])
        open_ones, end_s = set(positions), time.monotonic() + _LOOK_S
        while open_ones and time.monotonic() < end_s:
            done = _take(consumer.consume(records_max * len(open_ones), _POLL_S), found, topic_ids, records_max)
            if done & open_ones:
                consumer.pause([confluent_kafka.TopicPartition(*_place(name)) for name in done & open_ones])
            open_ones -= done
    finally:
        consumer.close()
    return found


def _take(
    messages: Iterable[Any], found: dict[TopicPartition, list[Record]], topic_ids: Mapping[str, str], records_max: int
) -> set[TopicPartition]:
    """Keeps what came; returns the partitions of which nothing more is wanted, or nothing more is there."""
    done = set()
    for message in messages:
        name = TopicPartition(message.topic(), message.partition())
        if (error := message.error()) is not None:
            if error.code() != KafkaError._PARTITION_EOF and not _is_gone(error):
                raise translated(error, f"look at {name.topic}/{name.partition}")
            done.add(name)
        elif len(found[name]) < records_max:
            found[name].append(to_record(message, topic_ids[name.topic]))
        if len(found[name]) >= records_max:
            done.add(name)
    return done


def _is_gone(error: KafkaError) -> bool:
    """The position is no longer, or not yet, in the log."""
    return isinstance(translated(error, ""), OffsetOutOfRange)


def _place(name: TopicPartition) -> tuple[str, int]:
    return name.topic, name.partition
