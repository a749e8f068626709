"""A part of a partition, read to its end however slowly it comes.

A client may be silent while the broker answers others: it learned of the cluster while the broker was fenced, or backs
off from a fetch that failed. Reading goes on with another one then, from where it was, and ends only where nothing at
all comes: who folds a long partition and had to begin anew each time would never come to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import confluent_kafka
import structlog
from confluent_kafka import KafkaError

from streams.gaps import no_gap
from streams.kafka_consumer import to_record
from streams.kafka_errors import translated
from streams.kafka_readers import Readers
from streams.log import LogAway, TopicPartition
from streams.wire import Record

# How long a client may be silent, from one that brought nothing to the next; what comes makes it short again. On a
# starved machine the first answer takes longer than ten seconds. A service that is to end has 45.
_SILENT_S_MAX: Final = (10.0, 20.0)
_BATCH: Final = 500


class _Short(LogAway):
    """The partition ends before what was asked for. No other client would find more."""


def read(
    readers: Readers, partition: TopicPartition, start: int, end: int, topic_id: Callable[[], str]
) -> Iterator[Record]:
    """As `streams.log.Log.read`. `topic_id` asks the broker: where it does not answer either, the log is away."""
    known = topic_id()
    silent = 0
    while start < end:
        try:
            for record in _by_one(readers, partition, start, end, known, _SILENT_S_MAX[silent]):
                start, silent = record.offset + 1, 0
                yield record
        except _Short:
            raise
        except LogAway as error:
            silent += 1
            if silent == len(_SILENT_S_MAX):
                raise
            if topic_id() != known:
                raise LogAway(f"{partition.topic}: created again while it was read") from None
            structlog.get_logger().warning("read_goes_on", topic=partition.topic, at=start, end=end, reason=str(error))


def _by_one(
    readers: Readers, partition: TopicPartition, start: int, end: int, topic_id: str, silent_s: float
) -> Iterator[Record]:
    """With one client. Raises LogAway where it is silent."""
    with readers.one() as consumer:
        consumer.assign([confluent_kafka.TopicPartition(partition.topic, partition.partition, start)])
        while start < end:
            for message in _fetched(consumer, partition, start, silent_s):
                if message.error() is not None:
                    raise _Short(f"{partition.topic}/{partition.partition}: ends at {start}, before {end}")
                no_gap(partition, start, message.offset())
                start = message.offset() + 1
                yield to_record(message, topic_id)
                if start == end:
                    return


def _fetched(consumer: confluent_kafka.Consumer, partition: TopicPartition, at: int, silent_s: float) -> list[Any]:
    """What has come; the last may say that the end is reached. Raises LogAway where nothing comes."""
    what = f"read of {partition.topic}/{partition.partition} at {at}"
    first = consumer.poll(silent_s)
    if first is None:
        raise LogAway(f"{what}: no answer")
    messages = [first, *consumer.consume(_BATCH, 0)]
    for message in messages:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise translated(error, what)
    return messages
