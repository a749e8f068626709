"""The log on Apache Kafka, by librdkafka. Every client's settings come from `streams.config.Kafka` and from here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException, TopicCollection, admin

from streams.config import ConfigError, Kafka
from streams.gaps import no_gap
from streams.kafka_client_log import ClientLog
from streams.kafka_consumer import KafkaConsumer, ours, theirs, to_record
from streams.kafka_errors import StaleLeader, of_exception, translated
from streams.kafka_group_offsets import GroupOffsets
from streams.kafka_heads import heads
from streams.kafka_producer import KafkaProducer
from streams.kafka_readers import Readers
from streams.log import LogAway, LogRefused, OnAssign, OnRevoke, TopicPartition
from streams.sizes import CLIENT_BYTES_MAX
from streams.wire import Record

# Its constructors are not typed.
_OFFSET_SPEC: Any = vars(admin)["OffsetSpec"]
_CALL_S = 10.0
_READ_BATCH = 500
_READ_SETTINGS: dict[str, Any] = {
    "group.protocol": "consumer",
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "check.crcs": True,
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 100,
}


class KafkaLog:
    """Clients are made when they are asked for; the one for administration is kept. Safe for several threads."""

    def __init__(self, config: Kafka, readers_kept: int = 0) -> None:
        """`readers_kept`: for who reads many parts of partitions one after the other (`streams.kafka_readers`)."""
        self._settings: dict[str, Any] = {
            "bootstrap.servers": config.bootstrap,
            **config.properties,
            "logger": ClientLog(),
        }
        # The group's name is never used: partitions are assigned by hand and nothing is committed.
        self._readers = Readers({**self._settings, **_READ_SETTINGS, "group.id": "none"}, readers_kept)
        try:
            self._admin = admin.AdminClient(self._settings)
            self._group_offsets = GroupOffsets(self._settings)
        except KafkaException as error:
            raise ConfigError(f"[kafka] cannot be used: {error.args[0].str()}; mend it in the configuration") from None

    def producer(
        self, *, linger_ms: int = 5, record_bytes_max: int = CLIENT_BYTES_MAX, patient: bool = False
    ) -> KafkaProducer:
        settings = {"linger.ms": linger_ms, "message.max.bytes": record_bytes_max, **self._settings}
        if patient:
            # 0: for ever. A site's own time is for those who give up, by whichever of its two names.
            settings.pop("message.timeout.ms", None)
            settings["delivery.timeout.ms"] = 0
        return KafkaProducer(settings)

    def consumer(
        self, group: str, topics: Sequence[str], on_assign: OnAssign, on_revoke: OnRevoke, *, co_partitioned: bool
    ) -> KafkaConsumer:
        # KIP-848: 'range' gives one partition number of all topics to one member, 'uniform' spreads them.
        settings = {**self._settings, "group.remote.assignor": "range" if co_partitioned else "uniform"}
        return KafkaConsumer(settings, group, topics, on_assign, on_revoke, self.topic_ids)

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[Record]:
        """Also raises LogAway where the partition ends before `end`: whoever asked knows of records there."""
        topic_id = self.topic_id(partition.topic)
        with self._readers.one() as consumer:
            consumer.assign([confluent_kafka.TopicPartition(partition.topic, partition.partition, start)])
            while start < end:
                for message in _fetched(consumer, partition, start):
                    if message.error() is not None:
                        raise LogAway(f"{partition.topic}/{partition.partition}: ends at {start}, before {end}")
                    no_gap(partition, start, message.offset())
                    start = message.offset() + 1
                    yield to_record(message, topic_id)
                    if start == end:
                        return

    def heads(self, positions: Mapping[TopicPartition, int], records_max: int) -> Mapping[TopicPartition, list[Record]]:
        topic_ids = self.topic_ids({name.topic for name in positions}) if positions else {}
        return heads(self._settings, positions, topic_ids, records_max)

    def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, tuple[int, int]]:
        first = self._offsets(partitions, _OFFSET_SPEC.earliest())
        end = self._offsets(partitions, _OFFSET_SPEC.latest())
        return {name: (first[name], end[name]) for name in partitions}

    def since(self, partitions: Collection[TopicPartition], at_ms: int) -> Mapping[TopicPartition, int]:
        found = self._offsets(partitions, _OFFSET_SPEC.for_timestamp(at_ms))
        end = self._offsets(partitions, _OFFSET_SPEC.latest())
        return {name: offset if offset >= 0 else end[name] for name, offset in found.items()}

    def _offsets(self, partitions: Collection[TopicPartition], spec: Any) -> dict[TopicPartition, int]:
        try:
            return self._ask_offsets(partitions, spec)
        except StaleLeader:
            # librdkafka asks with the leader's epoch that it once learned, for ever: a new client learns it anew.
            self._admin = admin.AdminClient(self._settings)
            return self._ask_offsets(partitions, spec)

    def _ask_offsets(self, partitions: Collection[TopicPartition], spec: Any) -> dict[TopicPartition, int]:
        asked = self._admin.list_offsets({theirs(name): spec for name in partitions}, request_timeout=_CALL_S)
        return {ours(name): _answer(future, f"offsets of {name.topic}").offset for name, future in asked.items()}

    def committed(self, group: str, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        return self._group_offsets.committed(group, partitions)

    def place(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        self._group_offsets.place(group, offsets)

    def members(self, group: str) -> int:
        (future,) = self._admin.describe_consumer_groups([group], request_timeout=_CALL_S).values()
        try:
            return len(_answer(future, f"members of group {group}").members)
        except LogRefused as error:
            if _is_no_group(error):
                return 0
            raise

    def partitions(self, topic: str) -> int:
        return self.partitions_of([topic])[topic]

    def partitions_of(self, topics: Collection[str]) -> dict[str, int]:
        return {name: len(found.partitions) for name, found in self._described(topics).items()}

    def topic_id(self, topic: str) -> str:
        return self.topic_ids([topic])[topic]

    def topic_ids(self, topics: Collection[str]) -> dict[str, str]:
        return {name: str(found.topic_id) for name, found in self._described(topics).items()}

    def _described(self, topics: Collection[str]) -> dict[str, Any]:
        asked = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=_CALL_S)
        return {name: _answer(future, f"topic {name}") for name, future in asked.items()}


def _is_no_group(error: LogRefused) -> bool:
    return KafkaError(KafkaError.GROUP_ID_NOT_FOUND).name() in str(error)


def _answer(future: Any, what: str) -> Any:
    try:
        return future.result(timeout=2 * _CALL_S)
    except KafkaException as error:
        raise of_exception(error, what) from None
    except TimeoutError:
        raise LogAway(f"{what}: no answer") from None


def _fetched(consumer: confluent_kafka.Consumer, partition: TopicPartition, at: int) -> list[Any]:
    """What has come; the last may say that the end is reached. Raises LogAway where nothing comes."""
    what = f"read of {partition.topic}/{partition.partition} at {at}"
    first = consumer.poll(_CALL_S)
    if first is None:
        raise LogAway(f"{what}: no answer")
    messages = [first, *consumer.consume(_READ_BATCH, 0)]
    for message in messages:
        error = message.error()
        if error is not None and error.code() != KafkaError._PARTITION_EOF:
            raise translated(error, what)
    return messages
