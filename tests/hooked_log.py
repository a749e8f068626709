"""A log under a prefix of its own, with points at which a test can crash, stall or count what a runner does.

The runner sees the real names of topics and groups; the log behind has `<prefix><name>`, so that tests neither share
topics nor need an option that nobody else would use.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from streams.log import Consumer, Delivery, Log, OnAssign, OnRevoke, Producer, TopicPartition
from streams.sizes import CLIENT_BYTES_MAX
from streams.wire import Message, Record


class Crash(BaseException):
    """The process dies here: nothing of the runner's code after this point runs."""


@dataclass
class Hooks:
    """Called in the runner's thread. What they raise, the runner gets."""

    before_send: Callable[[Message], None] = lambda _: None
    after_send: Callable[[Message], None] = lambda _: None
    before_commit: Callable[[Mapping[TopicPartition, int]], None] = lambda _: None
    polled: Callable[[Sequence[Record]], None] = lambda _: None


@dataclass
class HookedLog:
    """Implements `streams.log.Log` for one process; `kill` is what the system does to its clients when it dies."""

    inner: Log
    prefix: str
    hooks: Hooks = field(default_factory=Hooks)
    consumers: list[HookedConsumer] = field(default_factory=list)
    producers: list[HookedProducer] = field(default_factory=list)

    def kill(self) -> None:
        for consumer in self.consumers:
            consumer.dead = True
            consumer.inner.close()
        for producer in self.producers:
            producer.inner.close(0.0)

    def producer(
        self, *, linger_ms: int = 5, record_bytes_max: int = CLIENT_BYTES_MAX, patient: bool = False
    ) -> HookedProducer:
        inner = self.inner.producer(linger_ms=linger_ms, record_bytes_max=record_bytes_max, patient=patient)
        self.producers.append(HookedProducer(self, inner))
        return self.producers[-1]

    def consumer(
        self, group: str, topics: Sequence[str], on_assign: OnAssign, on_revoke: OnRevoke, *, co_partitioned: bool
    ) -> HookedConsumer:
        self.consumers.append(HookedConsumer(self, on_assign, on_revoke))
        self.consumers[-1].inner = self.inner.consumer(
            self.prefix + group,
            [self.prefix + topic for topic in topics],
            self.consumers[-1].assigned,
            self.consumers[-1].revoked,
            co_partitioned=co_partitioned,
        )
        return self.consumers[-1]

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[Record]:
        return map(self.shown, self.inner.read(self.real(partition), start, end))

    def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, tuple[int, int]]:
        found = self.inner.bounds([self.real(name) for name in partitions])
        return {self.known(name): bounds for name, bounds in found.items()}

    def committed(self, group: str, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        found = self.inner.committed(self.prefix + group, [self.real(name) for name in partitions])
        return {self.known(name): offset for name, offset in found.items()}

    def since(self, partitions: Collection[TopicPartition], at_ms: int) -> Mapping[TopicPartition, int]:
        found = self.inner.since([self.real(name) for name in partitions], at_ms)
        return {self.known(name): offset for name, offset in found.items()}

    def place(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        self.inner.place(self.prefix + group, {self.real(name): offset for name, offset in offsets.items()})

    def members(self, group: str) -> int:
        return self.inner.members(self.prefix + group)

    def partitions(self, topic: str) -> int:
        return self.inner.partitions(self.prefix + topic)

    def topic_id(self, topic: str) -> str:
        return self.inner.topic_id(self.prefix + topic)

    def real(self, name: TopicPartition) -> TopicPartition:
        return TopicPartition(self.prefix + name.topic, name.partition)

    def known(self, name: TopicPartition) -> TopicPartition:
        return TopicPartition(name.topic.removeprefix(self.prefix), name.partition)

    def shown(self, record: Record) -> Record:
        return replace(record, topic=record.topic.removeprefix(self.prefix))


@dataclass
class HookedProducer:
    log: HookedLog
    inner: Producer

    def send(self, message: Message) -> Future[Delivery]:
        self.log.hooks.before_send(message)
        future = self.inner.send(replace(message, topic=self.log.prefix + message.topic))
        self.log.hooks.after_send(message)
        return future

    def close(self, timeout_s: float) -> int:
        return self.inner.close(timeout_s)


@dataclass
class HookedConsumer:
    log: HookedLog
    on_assign: OnAssign
    on_revoke: OnRevoke
    dead: bool = False
    inner: Consumer = field(init=False)

    def assigned(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        if self.dead:
            return {}
        starts = self.on_assign([self.log.known(name) for name in partitions])
        return {self.log.real(name): start for name, start in starts.items()}

    def revoked(self, partitions: Sequence[TopicPartition], lost: bool) -> None:
        if not self.dead:
            self.on_revoke([self.log.known(name) for name in partitions], lost)

    def poll(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        records = [self.log.shown(record) for record in self.inner.poll(records_max, timeout_s)]
        self.log.hooks.polled(records)
        return records

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self.inner.pause([self.log.real(name) for name in partitions])

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        self.inner.resume([self.log.real(name) for name in partitions])

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self.inner.seek(self.log.real(partition), offset)

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.log.hooks.before_commit(offsets)
        self.inner.commit({self.log.real(name): offset for name, offset in offsets.items()})

    def close(self) -> None:
        self.inner.close()


def everything(log: HookedLog, topic: str) -> list[Record]:
    """All that a topic holds, partition by partition."""
    names = [TopicPartition(topic, number) for number in range(log.partitions(topic))]
    return [record for name, (first, end) in log.bounds(names).items() for record in log.read(name, first, end)]
