"""Reading a part of a partition: all of it, or an error. It never ends early as if it were done."""

from __future__ import annotations

from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError

from streams.config import Kafka
from streams.kafka_log import KafkaLog
from streams.log import LogAway, LogRefused, TopicPartition
from streams.stop import Stop
from tests.unit.test_kafka_consumer_failures import TOPIC, Message

NAME = TopicPartition(TOPIC, 0)


class Client:
    """librdkafka's consumer with a partition of its own, which ends as librdkafka says that it ends."""

    def __init__(self, messages: list[Message]) -> None:
        self._messages = messages

    def assign(self, _: object) -> None: ...

    def poll(self, _: float) -> Message:
        return self._messages.pop(0)

    def consume(self, *_: object) -> list[Message]:
        taken, self._messages = self._messages, []
        return taken

    def close(self) -> None: ...


def read(monkeypatch: pytest.MonkeyPatch, messages: list[Message], start: int, end: int) -> list[int]:
    seen: list[dict[str, Any]] = []

    def make(settings: dict[str, Any]) -> Client:
        seen.append(settings)
        return Client(messages)

    monkeypatch.setattr(confluent_kafka, "Consumer", make)
    monkeypatch.setattr(KafkaLog, "topic_id", lambda *_: "id")
    found = [record.offset for record in KafkaLog(Kafka(bootstrap="127.0.0.1:1")).read(NAME, start, end)]
    assert seen[0]["check.crcs"]
    return found


def test_what_was_asked_for_is_read_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(monkeypatch, [Message(at) for at in range(2, 9)], 2, 6) == [2, 3, 4, 5]


def test_a_partition_that_ends_where_was_asked_is_read_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = Message(6, KafkaError(KafkaError._PARTITION_EOF))
    assert read(monkeypatch, [*(Message(at) for at in range(2, 6)), ended], 2, 6) == [2, 3, 4, 5]


def test_a_partition_that_ends_before_what_was_asked_for_is_not_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = Message(3, KafkaError(KafkaError._PARTITION_EOF))
    with pytest.raises(LogAway, match="ends at 3"):
        read(monkeypatch, [Message(2), ended], 2, 6)


def test_a_gap_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stop, match="offset 4 came where 3 is the next"):
        read(monkeypatch, [Message(2), Message(4)], 2, 6)


def test_damaged_bytes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LogRefused):
        read(monkeypatch, [Message(2), Message(3, KafkaError(KafkaError._BAD_MSG))], 2, 6)


class Counted(Client):
    """Made anew for each reading, or kept: a kept one is given what it is assigned to."""

    made = 0
    closed = 0

    def __init__(self, _: object) -> None:
        super().__init__([])
        type(self).made += 1

    def assign(self, _: object) -> None:
        self._messages = [Message(at) for at in range(2, 9)]

    def unassign(self) -> None:
        self._messages = []

    def close(self) -> None:
        type(self).closed += 1


@pytest.mark.parametrize(("kept", "made", "closed"), [(0, 3, 3), (2, 1, 0)])
def test_who_looks_up_many_records_does_it_with_one_client(
    monkeypatch: pytest.MonkeyPatch, kept: int, made: int, closed: int
) -> None:
    client: type[Counted] = type("OfThisTest", (Counted,), {})
    monkeypatch.setattr(confluent_kafka, "Consumer", client)
    monkeypatch.setattr(KafkaLog, "topic_id", lambda *_: "id")
    log = KafkaLog(Kafka(bootstrap="127.0.0.1:1"), kept)
    for _ in range(3):
        assert [record.offset for record in log.read(NAME, 2, 3)] == [2]
    assert (client.made, client.closed) == (made, closed)


def test_a_client_that_failed_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    client: type[Counted] = type("OfThisTest", (Counted,), {})
    monkeypatch.setattr(confluent_kafka, "Consumer", client)
    monkeypatch.setattr(KafkaLog, "topic_id", lambda *_: "id")
    log = KafkaLog(Kafka(bootstrap="127.0.0.1:1"), 2)
    with pytest.raises(Stop):
        list(log.read(NAME, 0, 3))
    assert list(log.read(NAME, 2, 3))
    assert (client.made, client.closed) == (2, 1)
