"""One member of a consumer group by KIP-848. Nothing is ever skipped: there is no automatic reset, and no automatic
commit. A commit carries the topic's id, so that offsets of a deleted topic are never taken for those of its successor.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import confluent_kafka
import structlog
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException

from streams.gaps import no_gap
from streams.kafka_commits import Commits
from streams.kafka_errors import LogError, of_exception, translated
from streams.log import ClientOver, LogAway, LogRefused, OnAssign, OnRevoke, TopicPartition
from streams.step import TopicChanged
from streams.stop import Stop
from streams.wire import Record

_SETTINGS: dict[str, Any] = {
    "group.protocol": "consumer",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # Partitions without a committed offset get one on assignment; all else that is out of range is an error.
    "auto.offset.reset": "error",
    # Without it, what was damaged on the way or on the disk shows as it is, or not at all.
    "check.crcs": True,
    "fetch.wait.max.ms": 100,
    "queued.max.messages.kbytes": 8_192,
    # How long a request may wait for a broker that does not answer.
    "socket.timeout.ms": 10_000,
}
_CALL_S = 10.0
_ASSIGN_S_MAX = 30.0
_AGAIN_S = 0.5
_LEAVE_S_MAX = 10.0

Ids = Callable[[Collection[str]], Mapping[str, str]]


class KafkaConsumer:
    """`ids_of` asks the broker for the ids of topics."""

    def __init__(
        self,
        settings: dict[str, Any],
        group: str,
        topics: Sequence[str],
        on_assign: OnAssign,
        on_revoke: OnRevoke,
        ids_of: Ids,
    ) -> None:
        self._group = group
        self._on_assign = on_assign
        self._on_revoke = on_revoke
        self._ids_of = ids_of
        self._ids: dict[str, str] = {}
        self._next: dict[TopicPartition, int] = {}
        self._held: set[TopicPartition] = set()
        self._left = False
        self._failure: BaseException | None = None
        self._consumer = confluent_kafka.Consumer(
            {**_SETTINGS, **settings, "group.id": group, "error_cb": self._on_error}
        )
        self._commits = Commits(self._consumer)
        self._consumer.subscribe(list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)

    def poll(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        """What was fetched is always handed over: a failure that comes with it is raised by the next call."""
        if self._commits.is_over:
            self._fail(ClientOver(f"commit of group {self._group}: it does not end"))
        self._raise_failure()
        first = self._consumer.poll(timeout_s)
        # `consume` would wait for the whole number: it only takes what is there.
        more = self._consumer.consume(records_max - 1, 0) if first is not None and records_max > 1 else []
        records = self._records([first, *more] if first is not None else [])
        if not records:
            self._raise_failure()
        return records

    def _records(self, messages: Sequence[Any]) -> list[Record]:
        records = []
        for message in messages:
            if (error := message.error()) is None:
                try:
                    self._follows(TopicPartition(message.topic(), message.partition()), message.offset())
                except Stop as gap:
                    self._fail(gap)
                    break
                records.append(to_record(message, self._ids[message.topic()]))
                continue
            failure = translated(error, self._place(message))
            self._fail(failure)
            if not isinstance(failure, LogAway):
                # The consumer ends with this one: what comes after it is read again by whoever is next.
                break
        return records

    def _place(self, message: Any) -> str:
        """Where it failed. What concerns the whole group comes without a topic."""
        if message.topic() is None:
            return f"group {self._group}"
        return f"read of {message.topic()}/{message.partition()} at {message.offset()}"

    def _follows(self, name: TopicPartition, offset: int) -> None:
        """Raises Stop where records are missing before this one."""
        no_gap(name, self._next.get(name), offset)
        self._next[name] = offset + 1

    def _fail(self, failure: BaseException) -> None:
        """Keeps it for the next poll. What ends the consumer stays, whatever comes after it."""
        if self._failure is None or isinstance(self._failure, LogAway):
            self._failure = failure

    def _raise_failure(self) -> None:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _on_error(self, error: KafkaError) -> None:
        failure = translated(error, f"group {self._group}")
        if isinstance(failure, LogRefused) or error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._fail(failure)

    # Callbacks, run inside `poll`. What they raise is kept: librdkafka must not see it.

    def _assigned(self, _: confluent_kafka.Consumer, given: list[confluent_kafka.TopicPartition]) -> None:
        if self._left:
            return
        try:
            starts = self._starts(given) if given else {}
            starts.update(self._on_assign(sorted(starts)) if starts else {})
        except LogAway as error:
            # The client goes on with an assignment of its own making then: nothing may be read of it.
            self._fail(ClientOver(f"{error}: partitions were assigned and could not be taken"))
            return
        except BaseException as error:  # noqa: BLE001 - raised again by poll
            self._fail(error)
            return
        self._held.update(starts)
        self._next.update({name: start for name, start in starts.items() if start >= 0})
        self._consumer.incremental_assign(
            [confluent_kafka.TopicPartition(name.topic, name.partition, start) for name, start in starts.items()]
        )

    def _starts(self, given: list[confluent_kafka.TopicPartition]) -> dict[TopicPartition, int]:
        """Committed offsets, or the beginning. Tries for a while: an assignment cannot be put off."""
        deadline = time.monotonic() + _ASSIGN_S_MAX
        while True:
            try:
                self._ids.update(self._ids_of({partition.topic for partition in given}))
                return {ours(found): self._start(found) for found in self._consumer.committed(given, _CALL_S)}
            except KafkaException as error:
                failure: LogError = of_exception(error, f"committed offsets of group {self._group}")
            except LogAway as error:
                failure = error
            if not isinstance(failure, LogAway) or time.monotonic() > deadline:
                raise failure
            time.sleep(_AGAIN_S)

    def _start(self, found: confluent_kafka.TopicPartition) -> int:
        if found.error is not None:
            raise translated(found.error, f"committed offset of {found.topic}/{found.partition}")
        if found.offset < 0:
            return int(OFFSET_BEGINNING)
        if found.metadata and found.metadata != self._ids[found.topic]:
            raise TopicChanged(
                f"{found.topic}: group {self._group} had read topic id {found.metadata}, now it is "
                f"{self._ids[found.topic]}: the topic was deleted and created again"
            )
        return int(found.offset)

    def _revoked(self, _: confluent_kafka.Consumer, gone: list[confluent_kafka.TopicPartition]) -> None:
        if not self._left:
            self._give_back({ours(partition) for partition in gone}, lost=False)

    def _lost(self, _: confluent_kafka.Consumer, gone: list[confluent_kafka.TopicPartition]) -> None:
        if not self._left:
            self._give_back({ours(partition) for partition in gone}, lost=True)

    def _give_back(self, gone: Collection[TopicPartition], *, lost: bool) -> None:
        self._held.difference_update(gone)
        for name in gone:
            self._next.pop(name, None)
        try:
            self._on_revoke(sorted(gone), lost)
        except BaseException as error:  # noqa: BLE001 - raised again by poll
            self._fail(error)
        if self._commits.is_open:
            # It would be taken of this member also when another one has the partitions, and put that one back.
            self._fail(ClientOver(f"commit of group {self._group}: no answer, and partitions go to others"))

    def pause(self, partitions: Collection[TopicPartition]) -> None:
        self._consumer.pause([theirs(name) for name in partitions])

    def resume(self, partitions: Collection[TopicPartition]) -> None:
        self._consumer.resume([theirs(name) for name in partitions])

    def seek(self, partition: TopicPartition, offset: int) -> None:
        try:
            self._consumer.seek(confluent_kafka.TopicPartition(partition.topic, partition.partition, offset))
        except KafkaException as error:
            raise of_exception(error, f"seek in {partition.topic}/{partition.partition}") from None
        self._next[partition] = offset

    def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        wanted = [
            confluent_kafka.TopicPartition(name.topic, name.partition, offset, metadata=self._ids[name.topic])
            for name, offset in offsets.items()
        ]
        self._commits.commit(wanted, f"commit of group {self._group}")

    def close(self) -> None:
        """Raises what a callback raised. That the log is away, or the client over, concerns nobody who leaves.

        What is held is given back in the caller's thread, and then librdkafka has a while: it waits for a coordinator
        as a commit does. A client that is not gone by then goes when it can, and at the latest with the process.
        """
        if self._held:
            self._give_back(set(self._held), lost=False)
        self._left = True
        leaving = threading.Thread(target=self._consumer.close, name="leaving", daemon=True)
        leaving.start()
        leaving.join(_LEAVE_S_MAX)
        if leaving.is_alive():
            structlog.get_logger().warning("left_without_an_answer", group=self._group)
        if not isinstance(self._failure, LogAway | ClientOver):
            self._raise_failure()


def ours(partition: confluent_kafka.TopicPartition) -> TopicPartition:
    return TopicPartition(partition.topic, partition.partition)


def theirs(name: TopicPartition) -> confluent_kafka.TopicPartition:
    return confluent_kafka.TopicPartition(name.topic, name.partition)


def to_record(message: Any, topic_id: str) -> Record:
    """A `confluent_kafka.Message`, typed as Any since its parts may be absent in one that is an error."""
    return Record(
        topic=message.topic(),
        topic_id=topic_id,
        partition=message.partition(),
        offset=message.offset(),
        timestamp_ms=message.timestamp()[1],
        key=message.key(),
        value=message.value(),
        headers=tuple((key, value or b"") for key, value in message.headers() or ()),
    )
