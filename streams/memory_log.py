"""A fake of the log that passes the same conformance suite as the broker: for tests and measuring, nothing else.

Everything happens in one process and under one lock. Tests reach in to do what a broker does to its clients: being
away, forgetting old records, expiring a member, deleting a topic and creating it again.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from confluent_kafka import murmur2

from streams.log import Delivery, Fenced, LogAway, LogRefused, OffsetOutOfRange, OnAssign, OnRevoke, TopicPartition
from streams.memory_group import Group, MemoryConsumer
from streams.sizes import CLIENT_BYTES_MAX, size_of
from streams.wire import Message, Record


@dataclass
class Partition:
    """The records from offset `first` on."""

    first: int = 0
    records: list[Record] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.first + len(self.records)


@dataclass
class Topic:
    name: str
    topic_id: str
    partitions: list[Partition]


class MemoryLog:
    """`away` makes every call fail as it does while the broker is down. Set it under no lock, from any thread."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.away = False
        self._topics: dict[str, Topic] = {}
        self._groups: dict[str, Group] = {}
        self._unkeyed = 0

    # What a broker does to its clients.

    def create_topic(self, name: str, partitions: int) -> None:
        with self.changed:
            if name in self._topics:
                raise ValueError(f"topic {name} exists")
            topic_id = str(uuid.uuid4())
            self._topics[name] = Topic(name, topic_id, [Partition() for _ in range(partitions)])
            self._rebalance()

    def delete_topic(self, name: str) -> None:
        """The groups' committed offsets of the topic go with it, as in Kafka."""
        with self.changed:
            del self._topics[name]
            for group in self._groups.values():
                group.forget(name)
            self._rebalance()

    def trim(self, partition: TopicPartition, first: int) -> None:
        """Retention: records before `first` are gone."""
        with self.changed:
            held = self.partition(partition)
            del held.records[: first - held.first]
            held.first = first

    def expire(self, group: str, consumer: MemoryConsumer) -> None:
        """The session of a member times out: the others get its partitions, and it does not know yet."""
        with self.changed:
            self._groups[group].leave(consumer)
            self._rebalance()

    def _rebalance(self) -> None:
        for group in self._groups.values():
            group.assign({topic.name: len(topic.partitions) for topic in self._topics.values()})
        self.changed.notify_all()

    # What clients ask. Called with the lock held by the members of groups.

    def reach(self) -> None:
        if self.away:
            raise LogAway("the log is away")

    def topic(self, name: str) -> Topic:
        self.reach()
        if name not in self._topics:
            raise LogRefused(f"no topic {name}")
        return self._topics[name]

    def partition(self, partition: TopicPartition) -> Partition:
        return self.topic(partition.topic).partitions[partition.partition]

    def slice(self, partition: TopicPartition, start: int, records_max: int) -> Sequence[Record]:
        held = self.partition(partition)
        if not held.first <= start <= held.end:
            raise OffsetOutOfRange(f"{partition.topic}/{partition.partition}: no offset {start}")
        return held.records[start - held.first : start - held.first + records_max]

    def append(self, message: Message) -> Delivery:
        with self.changed:
            topic = self.topic(message.topic)
            number = self._number(message.key, len(topic.partitions))
            held = topic.partitions[number]
            delivery = Delivery(topic.name, number, held.end)
            now_ms = time.time_ns() // 1_000_000
            held.records.append(
                Record(
                    topic=topic.name,
                    topic_id=topic.topic_id,
                    partition=number,
                    offset=held.end,
                    timestamp_ms=now_ms,
                    key=message.key,
                    value=message.value,
                    headers=message.headers,
                )
            )
            self.changed.notify_all()
            return delivery

    def _number(self, key: bytes | None, count: int) -> int:
        """librdkafka's own murmur2, which is Java's; records without a key go round."""
        if key is not None:
            return murmur2(key, count)
        self._unkeyed += 1
        return self._unkeyed % count

    def join(self, group: str, consumer: MemoryConsumer) -> Group:
        with self.changed:
            joined = self._groups.setdefault(group, Group())
            joined.members.append(consumer)
            self._rebalance()
            return joined

    def leave(self, group: Group, consumer: MemoryConsumer) -> None:
        with self.changed:
            group.leave(consumer)
            self._rebalance()

    # The protocol of `streams.log.Log`.

    def producer(
        self, *, linger_ms: int = 5, record_bytes_max: int = CLIENT_BYTES_MAX, patient: bool = False
    ) -> MemoryProducer:
        return MemoryProducer(self, record_bytes_max)

    def consumer(
        self, group: str, topics: Sequence[str], on_assign: OnAssign, on_revoke: OnRevoke, *, co_partitioned: bool
    ) -> MemoryConsumer:
        return MemoryConsumer(self, group, tuple(topics), on_assign, on_revoke)

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[Record]:
        with self.changed:
            records = self.slice(partition, start, max(end - start, 0))
            if (held := self.partition(partition).end) < end:
                raise LogAway(f"{partition.topic}/{partition.partition}: ends at {held}, before {end}")
        yield from records

    def heads(self, positions: Mapping[TopicPartition, int], records_max: int) -> Mapping[TopicPartition, list[Record]]:
        with self.changed:
            return {name: list(self.slice(name, start, records_max)) for name, start in positions.items()}

    def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, tuple[int, int]]:
        with self.changed:
            self.reach()
            return {name: (self.partition(name).first, self.partition(name).end) for name in partitions}

    def since(self, partitions: Collection[TopicPartition], at_ms: int) -> Mapping[TopicPartition, int]:
        with self.changed:
            self.reach()
            held = {name: self.partition(name) for name in partitions}
            return {
                name: next((r.offset for r in one.records if r.timestamp_ms >= at_ms), one.end)
                for name, one in held.items()
            }

    def members(self, group: str) -> int:
        with self.changed:
            self.reach()
            return len(self._groups[group].members) if group in self._groups else 0

    def committed(self, group: str, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        with self.changed:
            self.reach()
            known = self._groups.setdefault(group, Group())
            return {name: known.committed.get(name, (None, ""))[0] for name in partitions}

    def place(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        with self.changed:
            self.reach()
            known = self._groups.setdefault(group, Group())
            if known.members:
                raise Fenced(f"first offsets of group {group}: it has members")
            known.committed |= {name: (offset, self.topic(name.topic).topic_id) for name, offset in offsets.items()}

    def partitions(self, topic: str) -> int:
        with self.changed:
            return len(self.topic(topic).partitions)

    def partitions_of(self, topics: Collection[str]) -> Mapping[str, int]:
        return {topic: self.partitions(topic) for topic in topics}

    def topic_id(self, topic: str) -> str:
        with self.changed:
            return self.topic(topic).topic_id


class MemoryProducer:
    """Appends at once. While the log is away, a record fails as it does when its delivery timeout is over."""

    def __init__(self, log: MemoryLog, record_bytes_max: int) -> None:
        self._log, self._record_bytes_max = log, record_bytes_max

    def send(self, message: Message) -> Future[Delivery]:
        future: Future[Delivery] = Future()
        try:
            if size_of(message) > self._record_bytes_max:
                raise LogRefused(f"write to {message.topic}: the record is too large")
            future.set_result(self._log.append(message))
        except (LogAway, LogRefused) as error:
            future.set_exception(error)
        return future

    def close(self, timeout_s: float) -> int:
        return 0
