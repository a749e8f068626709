"""A broker that was restarted is asked again with what is known now, not with what was known before."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, admin

from streams.config import Kafka
from streams.kafka_log import KafkaLog
from streams.log import LogAway, TopicPartition

NAME = TopicPartition("topic", 0)


@dataclass
class Found:
    offset: int = 7


@dataclass
class Client:
    """librdkafka's: what it learned of leaders when it was made, it keeps."""

    stale: bool
    settings: dict[str, Any] = field(default_factory=dict)

    def list_offsets(self, asked: dict[Any, Any], **_: Any) -> dict[Any, Future[Found]]:
        return {partition: self._answer() for partition in asked}

    def _answer(self) -> Future[Found]:
        future: Future[Found] = Future()
        if self.stale:
            future.set_exception(KafkaException(KafkaError(KafkaError.FENCED_LEADER_EPOCH)))
        else:
            future.set_result(Found())
        return future


def log_of(monkeypatch: pytest.MonkeyPatch, *clients: Client) -> KafkaLog:
    """A log that is given these, one after the other."""
    made = iter(clients)
    monkeypatch.setattr(admin, "AdminClient", lambda _: next(made))
    return KafkaLog(Kafka(bootstrap="127.0.0.1:1"))


def test_a_client_that_knows_an_old_leader_is_replaced_and_nobody_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(monkeypatch, Client(stale=True), Client(stale=False))
    assert log.bounds([NAME]) == {NAME: (7, 7)}


def test_where_there_is_no_leader_yet_the_log_is_away_and_then_back(monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_of(monkeypatch, Client(stale=True), Client(stale=True), Client(stale=False))
    with pytest.raises(LogAway):
        log.bounds([NAME])
    assert log.bounds([NAME]) == {NAME: (7, 7)}
