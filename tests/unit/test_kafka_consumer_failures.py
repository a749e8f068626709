"""A failure of the connection never costs a record that was fetched with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError

from streams.kafka_consumer import KafkaConsumer
from streams.log import LogAway, OffsetOutOfRange

TOPIC = "topic"


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

    def subscribe(self, *_: Any, **__: Any) -> None: ...

    def poll(self, _: float) -> Message | None:
        messages, failure = self.batches[0] if self.batches else ([], None)
        if failure is not None:
            self.report(failure)
        if not messages:
            self.batches.clear()
            return None
        return messages.pop(0)

    def consume(self, _: int, __: float) -> list[Message]:
        return self.batches.popleft()[0]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    made: list[Client] = []

    def make(settings: dict[str, Any]) -> Client:
        made.append(Client(settings))
        return made[-1]

    monkeypatch.setattr(confluent_kafka, "Consumer", make)
    return made


def consumer(client: list[Client]) -> KafkaConsumer:
    made = KafkaConsumer({}, "group", [TOPIC], lambda _: {}, lambda *_: None, lambda _: {})
    made._ids[TOPIC] = "id"
    return made


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
