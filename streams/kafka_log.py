"""The log on Apache Kafka, by librdkafka. Every client's settings come from `streams.config.Kafka` and from here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection, admin

from streams import kafka_reading as reading
from streams.config import ConfigError, Kafka
from streams.kafka_client_log import ClientLog
from streams.kafka_consumer import KafkaConsumer, ours, theirs
from streams.kafka_errors import StaleLeader, of_exception
from streams.kafka_group_offsets import GroupOffsets
from streams.kafka_heads import heads
from streams.kafka_producer import KafkaProducer
from streams.kafka_readers import Readers
from streams.kafka_renewed import Renewed
from streams.log import LogAway, LogRefused, OnAssign, OnRevoke, TopicPartition
from streams.sizes import CLIENT_BYTES_MAX
from streams.wire import Record

# Its constructors are not typed.
_OFFSET_SPEC: Any = vars(admin)["OffsetSpec"]
_CALL_S = 10.0
_READ_SETTINGS: dict[str, Any] = {
    "group.protocol": "consumer",
    "enable.auto.commit": False,
    "auto.offset.reset": "error",
    "check.crcs": True,
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 100,
}


class KafkaLog:
    """Clients are made when they are asked for; the one for administration is kept while it answers.

    Safe for several threads.
    """

    def __init__(self, config: Kafka, readers_kept: int = 0) -> None:
        """`readers_kept`: for who reads many parts of partitions one after the other (`streams.kafka_readers`)."""
        settings: dict[str, Any] = {"bootstrap.servers": config.bootstrap, **config.properties, "logger": ClientLog()}
        self._settings = settings
        # The group's name is never used: partitions are assigned by hand and nothing is committed.
        self._readers = Readers({**self._settings, **_READ_SETTINGS, "group.id": "none"}, readers_kept)
        try:
            # Of the settings alone: with a cycle its threads stay until the interpreter looks for one, maybe never.
            self._admin: Renewed[Any] = Renewed(lambda: admin.AdminClient(settings), "administration")
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
        return reading.read(self._readers, partition, start, end, lambda: self.topic_id(partition.topic))

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
        def ask(client: Any) -> Mapping[Any, Any]:
            found: Mapping[Any, Any] = client.list_offsets(
                {theirs(name): spec for name in partitions}, request_timeout=_CALL_S
            )
            return found

        found = self._asked(ask, lambda name: f"offsets of {name.topic}")
        return {ours(name): one.offset for name, one in found.items()}

    def committed(self, group: str, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        return self._group_offsets.committed(group, partitions)

    def place(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        self._group_offsets.place(group, offsets)

    def members(self, group: str) -> int:
        def ask(client: Any) -> Mapping[Any, Any]:
            found: Mapping[Any, Any] = client.describe_consumer_groups([group], request_timeout=_CALL_S)
            return found

        try:
            (found,) = self._asked(ask, lambda name: f"members of group {name}").values()
            return len(found.members)
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
        def ask(client: Any) -> Mapping[Any, Any]:
            found: Mapping[Any, Any] = client.describe_topics(TopicCollection(list(topics)), request_timeout=_CALL_S)
            return found

        return self._asked(ask, lambda name: f"topic {name}")

    def _asked(self, ask: Callable[[Any], Mapping[Any, Any]], what: Callable[[Any], str]) -> dict[Any, Any]:
        """All answers, by what was asked for. Raises LogAway, LogRefused."""
        client = self._admin.client
        try:
            return _answers(ask(client), what)
        except LogAway as error:
            # What an old picture of the cluster led to is known at once; all else took its time.
            if not self._admin.renew(client, error) or not isinstance(error, StaleLeader):
                raise
        return _answers(ask(self._admin.client), what)


def _is_no_group(error: LogRefused) -> bool:
    return KafkaError(KafkaError.GROUP_ID_NOT_FOUND).name() in str(error)


def _answers(asked: Mapping[Any, Any], what: Callable[[Any], str]) -> dict[Any, Any]:
    return {name: _answer(future, what(name)) for name, future in asked.items()}


def _answer(future: Any, what: str) -> Any:
    try:
        return future.result(timeout=2 * _CALL_S)
    except KafkaException as error:
        raise of_exception(error, what) from None
    except TimeoutError:
        raise LogAway(f"{what}: no answer") from None
