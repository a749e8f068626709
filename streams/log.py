"""The log as the runtime sees it: a few calls that a broker and a fake both answer.

`streams.kafka_log` is Kafka; `streams.memory_log` is a fake that passes the same conformance suite.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from streams.sizes import CLIENT_BYTES_MAX
from streams.wire import Message, Record


@dataclass(frozen=True, order=True)
class TopicPartition:
    topic: str
    partition: int


@dataclass(frozen=True)
class Delivery:
    """Where an acknowledged record is."""

    topic: str
    partition: int
    offset: int


class LogAway(Exception):
    """The broker cannot be reached, or did not acknowledge in time. Wait and try again."""


class LogRefused(Exception):
    """The broker refused for good: authorisation, a record too large, a topic that does not exist."""


class LogClosed(LogRefused):
    """It lets us do nothing at all: authentication, authorisation, a topic that does not exist. No record is at fault,
    and who can keep what it has may wait until a person has mended it."""


class TopicClosed(LogClosed):
    """One topic lets us do nothing: its authorisation, or there is none. Of the others it says nothing."""


class ClientOver(LogClosed):
    """The client gave itself up: the broker has lost what it had acknowledged to a producer, or refuses a consumer in
    its group. Another one may do."""


class OffsetOutOfRange(Exception):
    """The log no longer holds, or never held, the offset to read from. The consumer stops instead of guessing."""


class Fenced(Exception):
    """Another member has this partition now. What was in hand is abandoned; whoever has it does it again."""


class Producer(Protocol):
    """Idempotent, `acks=all`, murmur2 partitioner: Java clients agree on partitions."""

    def send(self, message: Message) -> Future[Delivery]:
        """Queues a record; order is kept for each partition. The future fails with LogAway or LogRefused.

        Waits while the queue is full, so a producer is its own back pressure. Where it stays full for half a minute,
        the future that is returned has failed: who needs the order looks at that before the next record.
        """

    def close(self, timeout_s: float) -> int:
        """Waits for what is queued; returns how many records were not acknowledged in that time.

        Those are given up: their futures fail with LogAway, and nothing of them is sent after this returns.
        """


class Consumer(Protocol):
    """One member of a consumer group. Used from one thread."""

    def poll(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        """The next records. Raises LogAway, LogRefused, OffsetOutOfRange; with LogAway no record is taken, so whoever
        polls again goes on. Runs the rebalance callbacks.
        """

    def pause(self, partitions: Collection[TopicPartition]) -> None: ...

    def resume(self, partitions: Collection[TopicPartition]) -> None: ...

    def seek(self, partition: TopicPartition, offset: int) -> None: ...

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commits the next offset to read of each partition and waits, not for long. Raises Fenced, LogAway; after
        LogAway the offsets may be committed all the same.
        """

    def close(self) -> None:
        """Leaves the group after the revoke callback has run, and does not wait long for the log's word."""


OnAssign = Callable[[Sequence[TopicPartition]], Mapping[TopicPartition, int]]
"""Told of new partitions; returns offsets to start from where the group's committed ones are not to be used."""

OnRevoke = Callable[[Sequence[TopicPartition], bool], None]
"""Told of partitions that go. The second argument says that they are lost: a commit would be refused."""


class Log(Protocol):
    def producer(
        self, *, linger_ms: int = 5, record_bytes_max: int = CLIENT_BYTES_MAX, patient: bool = False
    ) -> Producer:
        """`linger_ms`: how long a record may wait for others to go with it. `record_bytes_max`: what the client takes;
        a topic may take less.

        A record that the log does not acknowledge for half a minute is given up, and what was queued behind it may
        still be written, so it is before it once that is sent again. A `patient` producer gives nothing up by itself:
        who needs the order looks at the time, and closes it (docs/decisions/0070).
        """

    def consumer(
        self, group: str, topics: Sequence[str], on_assign: OnAssign, on_revoke: OnRevoke, *, co_partitioned: bool
    ) -> Consumer:
        """Joins a group (KIP-848). `co_partitioned` puts one partition number of all topics on one member.

        A partition without a committed offset is read from its beginning.
        """

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[Record]:
        """All records from `start` to before `end`, without a group.

        Raises OffsetOutOfRange, LogAway, LogRefused, and Stop at a gap. A partition that ends before `end` is away: it
        had more when somebody asked for its end.
        """

    def heads(self, positions: Mapping[TopicPartition, int], records_max: int) -> Mapping[TopicPartition, list[Record]]:
        """A look at the first records from each position on, at most so many of each partition, in a request or two.

        Only a look: what is not there, or does not come within two seconds, is left out. Raises LogAway, LogRefused.
        """

    def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, tuple[int, int]]:
        """First offset held and next offset to be written, for each partition. Raises LogAway."""

    def since(self, partitions: Collection[TopicPartition], at_ms: int) -> Mapping[TopicPartition, int]:
        """Offset of the first record written at that Unix time or later, or the partition's end. Raises LogAway."""

    def committed(self, group: str, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int | None]:
        """The group's committed next offset, or None. Raises LogAway."""

    def place(self, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """Commits where a group is to begin that has no member yet, and waits.

        Raises Fenced where it has one by now, LogAway, LogRefused.
        """

    def members(self, group: str) -> int:
        """How many members a consumer group has now. Raises LogAway."""

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has. Raises LogRefused for an unknown topic, LogAway."""

    def partitions_of(self, topics: Collection[str]) -> Mapping[str, int]:
        """How many partitions each topic has, in one request. Raises as `partitions`."""

    def topic_id(self, topic: str) -> str:
        """The topic's id (KIP-516): a recreated topic has another. Raises LogRefused, LogAway."""
