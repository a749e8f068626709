"""A failure of the connection never costs a record that was fetched with it."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError

from streams import kafka_commits, kafka_consumer
from streams.kafka_consumer import KafkaConsumer
from streams.log import ClientOver, LogAway, LogRefused, OffsetOutOfRange, OnRevoke, TopicPartition
from streams.stop import Stop
from tests.logged import captured
from tests.waiting import wait_until

TOPIC = "topic"
NAME = TopicPartition(TOPIC, 0)
COMMITTED = 40


@dataclass
class Message:
    """As much of `confluent_kafka.Message` as is read."""

    at: int
    failure: KafkaError | None = None

    def topic(self) -> str:
        return TOPIC

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.at

    def error(self) -> KafkaError | None:
        return self.failure

    def timestamp(self) -> tuple[int, int]:
        return (0, 0)

    def key(self) -> None:
        return None

    value = headers = key


class Client:
    """librdkafka's consumer, as a script of what each call gives and which error its callback reports meanwhile."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.report: Callable[[KafkaError], None] = settings["error_cb"]
        self.batches: deque[tuple[list[Message], KafkaError | None]] = deque()
        self.rebalance: Callable[..., None] | None = None
        self.committed_last: int | None = None
        # Set while the coordinator answers.
        self.answers = threading.Event()
        self.answers.set()

    def subscribe(self, *_: Any, on_assign: Callable[..., None], on_revoke: Callable[..., None], **__: Any) -> None:
        self.assign, self.revoke = on_assign, on_revoke

    def poll(self, _: float) -> Message | None:
        if self.rebalance is not None:
            callback, self.rebalance = self.rebalance, None
            callback(self, [confluent_kafka.TopicPartition(TOPIC, 0)])
        messages, failure = self.batches[0] if self.batches else ([], None)
        if failure is not None:
            self.report(failure)
        if not messages:
            self.batches.clear()
            return None
        return messages.pop(0)

    def consume(self, _: int, __: float) -> list[Message]:
        return self.batches.popleft()[0]

    def seek(self, _: confluent_kafka.TopicPartition) -> None: ...

    def committed(self, asked: list[confluent_kafka.TopicPartition], _: float) -> list[confluent_kafka.TopicPartition]:
        return [confluent_kafka.TopicPartition(one.topic, one.partition, COMMITTED) for one in asked]

    def incremental_assign(self, _: list[confluent_kafka.TopicPartition]) -> None: ...

    def commit(self, *, offsets: list[confluent_kafka.TopicPartition], asynchronous: bool) -> list[Any]:
        assert not asynchronous
        self.answers.wait()
        self.committed_last = offsets[0].offset
        return offsets

    def close(self) -> None:
        self.answers.wait()
        self.revoke(self, [confluent_kafka.TopicPartition(TOPIC, 0)])


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    made: list[Client] = []

    def make(settings: dict[str, Any]) -> Client:
        made.append(Client(settings))
        return made[-1]

    monkeypatch.setattr(confluent_kafka, "Consumer", make)
    return made


def consumer(client: list[Client], on_revoke: OnRevoke = lambda *_: None) -> KafkaConsumer:
    made = KafkaConsumer({}, "group", [TOPIC], lambda _: {}, on_revoke, _no_ids)
    made._ids[TOPIC] = "id"
    return made


def _no_ids(_: object) -> dict[str, str]:
    raise LogAway("no answer")


def offsets(records: Sequence[Any]) -> list[int]:
    return [record.offset for record in records]


def test_brokers_that_go_down_meanwhile_cost_no_record(client: list[Client]) -> None:
    reader = consumer(client)
    client[0].batches.append(([Message(0), Message(1), Message(2)], KafkaError(KafkaError._ALL_BROKERS_DOWN)))
    assert offsets(reader.poll(10, 0)) == [0, 1, 2]
    with pytest.raises(LogAway):
        reader.poll(10, 0)


def test_a_passing_error_among_messages_costs_no_record(client: list[Client]) -> None:
    reader = consumer(client)
    failed = Message(1, KafkaError(KafkaError._TRANSPORT))
    client[0].batches.append(([Message(0), failed, Message(1), Message(2)], None))
    assert offsets(reader.poll(10, 0)) == [0, 1, 2]
    with pytest.raises(LogAway):
        reader.poll(10, 0)


def test_nothing_is_read_past_an_error_that_ends_the_consumer(client: list[Client]) -> None:
    reader = consumer(client)
    failed = Message(1, KafkaError(KafkaError._AUTO_OFFSET_RESET))
    client[0].batches.append(([Message(0), failed, Message(7)], None))
    assert offsets(reader.poll(10, 0)) == [0]
    with pytest.raises(OffsetOutOfRange):
        reader.poll(10, 0)


@pytest.mark.parametrize("start", [0, 5], ids=["to the beginning", "back"])
def test_a_gap_in_the_offsets_stops_after_what_is_before_it(client: list[Client], start: int) -> None:
    reader = consumer(client)
    reader.seek(TopicPartition(TOPIC, 0), start)
    client[0].batches.append(([Message(start), Message(start + 2), Message(start + 3)], None))
    assert offsets(reader.poll(10, 0)) == [start]
    with pytest.raises(Stop, match=f"offset {start + 2} came where {start + 1} is the next"):
        reader.poll(10, 0)


def test_the_first_record_is_the_one_that_was_committed(client: list[Client]) -> None:
    reader = KafkaConsumer({}, "group", [TOPIC], lambda _: {}, lambda *_: None, lambda _: {TOPIC: "id"})
    client[0].rebalance = client[0].assign
    client[0].batches.append(([Message(COMMITTED + 1)], None))
    with pytest.raises(Stop, match=f"where {COMMITTED} is the next"):
        reader.poll(10, 0)


@pytest.mark.parametrize("code", [KafkaError._BAD_MSG, KafkaError._BAD_COMPRESSION, KafkaError._NOT_IMPLEMENTED])
def test_bytes_that_the_client_cannot_read_end_the_consumer(client: list[Client], code: int) -> None:
    reader = consumer(client)
    client[0].batches.append(([Message(0), Message(1, KafkaError(code)), Message(2)], None))
    assert offsets(reader.poll(10, 0)) == [0]
    with pytest.raises(LogRefused):
        reader.poll(10, 0)


def test_an_assignment_that_failed_is_not_forgotten_over_brokers_that_are_down(
    client: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_consumer, "_ASSIGN_S_MAX", -1.0)
    reader = consumer(client)
    client[0].rebalance = client[0].assign
    client[0].batches.append(([], KafkaError(KafkaError._ALL_BROKERS_DOWN)))
    with pytest.raises(ClientOver, match="partitions were assigned and could not be taken"):
        reader.poll(10, 0)


def test_a_stop_while_partitions_went_is_not_forgotten_over_a_passing_error(client: list[Client]) -> None:
    def stops(_: Sequence[TopicPartition], lost: bool) -> None:
        raise Stop("a fault of the step")

    reader = consumer(client, stops)
    client[0].rebalance = client[0].revoke
    client[0].batches.append(([Message(0), Message(1, KafkaError(KafkaError._TRANSPORT))], None))
    assert offsets(reader.poll(10, 0)) == [0]
    with pytest.raises(Stop):
        reader.poll(10, 0)


def test_a_consumer_that_is_left_does_not_end_over_a_broker_that_was_away(client: list[Client]) -> None:
    reader = consumer(client)
    client[0].batches.append(([Message(0)], KafkaError(KafkaError._ALL_BROKERS_DOWN)))
    assert offsets(reader.poll(10, 0)) == [0]
    reader.close()


def test_a_stop_in_the_last_revoke_is_told(client: list[Client]) -> None:
    def stops(_: Sequence[TopicPartition], lost: bool) -> None:
        raise Stop("a fault of the step")

    with pytest.raises(Stop):
        member(client, stops).close()


def member(client: list[Client], on_revoke: OnRevoke = lambda *_: None) -> KafkaConsumer:
    """One that holds its partition."""
    made = KafkaConsumer({}, "group", [TOPIC], lambda _: {}, on_revoke, lambda _: {TOPIC: "id"})
    client[0].rebalance = client[0].assign
    assert made.poll(10, 0) == []
    return made


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, client: list[Client]) -> Iterator[list[Client]]:
    """Who waits for a coordinator waits for a moment."""
    monkeypatch.setattr(kafka_commits, "_ANSWER_S_MAX", 0.05)
    monkeypatch.setattr(kafka_consumer, "_LEAVE_S_MAX", 0.05)
    yield client
    for one in client:
        one.answers.set()


def test_a_commit_without_an_answer_holds_nobody_and_the_next_ones_go_on(impatient: list[Client]) -> None:
    reader, client = member(impatient), impatient[0]
    client.answers.clear()
    with pytest.raises(LogAway, match="commit of group group: no answer"):
        reader.commit({NAME: 41})
    with pytest.raises(LogAway, match="the one before has no answer yet"):
        reader.commit({NAME: 42})
    client.batches.append(([Message(COMMITTED)], None))
    assert offsets(reader.poll(10, 0)) == [COMMITTED]
    client.answers.set()
    wait_until(lambda: client.committed_last == 41, "the answer of the first")
    wait_until(lambda: not reader._commits.is_open, "the end of the first")
    reader.commit({NAME: 42})
    assert client.committed_last == 42


def test_a_member_whose_commit_never_ends_is_over(impatient: list[Client], monkeypatch: pytest.MonkeyPatch) -> None:
    reader = member(impatient)
    impatient[0].answers.clear()
    with pytest.raises(LogAway):
        reader.commit({NAME: 41})
    assert reader.poll(10, 0) == []
    monkeypatch.setattr(kafka_commits, "_OVER_S", -1.0)
    with pytest.raises(ClientOver, match="it does not end"):
        reader.poll(10, 0)


def test_a_member_with_a_commit_on_its_way_is_over_once_partitions_go_to_others(impatient: list[Client]) -> None:
    """Else it could put back what the other one has committed meanwhile."""
    reader, client = member(impatient), impatient[0]
    client.answers.clear()
    with pytest.raises(LogAway):
        reader.commit({NAME: 41})
    client.rebalance = client.revoke
    with pytest.raises(ClientOver, match="partitions go to others"):
        reader.poll(10, 0)


def test_who_leaves_gives_back_what_it_holds_and_does_not_wait_for_a_coordinator(impatient: list[Client]) -> None:
    given: list[tuple[Sequence[TopicPartition], bool]] = []

    def gives(partitions: Sequence[TopicPartition], lost: bool) -> None:
        given.append((partitions, lost))
        with pytest.raises(LogAway):
            reader.commit({NAME: 41})

    reader = member(impatient, gives)
    impatient[0].answers.clear()
    reader.close()
    assert given == [([NAME], False)]


def test_the_real_client_without_a_coordinator_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself it holds a commit and a leave for 45 seconds each."""
    monkeypatch.setattr(kafka_commits, "_ANSWER_S_MAX", 0.2)
    monkeypatch.setattr(kafka_consumer, "_LEAVE_S_MAX", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        settings = {"bootstrap.servers": f"127.0.0.1:{mute.getsockname()[1]}", "log_level": 0}
        reader = KafkaConsumer(settings, "group", [TOPIC], lambda _: {}, lambda *_: None, _no_ids)
        reader._ids[TOPIC] = "id"
        with pytest.raises(LogAway, match="no answer"):
            reader.commit({NAME: 41})
        with captured() as written:
            reader.close()
    assert "left_without_an_answer" in written.getvalue()
