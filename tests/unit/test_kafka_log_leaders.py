"""A broker that was restarted is asked by a client that knows it as it is now, not by one that knew it before."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException, admin

from streams import kafka_renewed
from streams.config import Kafka
from streams.kafka_group_offsets import GroupOffsets
from streams.kafka_log import KafkaLog
from streams.kafka_renewed import Renewed
from streams.log import LogAway, TopicPartition

NAME = TopicPartition("topic", 0)


@dataclass
class Found:
    offset: int = 7


@dataclass
class Client:
    """librdkafka's: what it learned of leaders when it was made, it keeps."""

    stale: bool = False
    stuck: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    def list_offsets(self, asked: dict[Any, Any], **_: Any) -> dict[Any, Future[Found]]:
        return {partition: self._answer() for partition in asked}

    def _answer(self) -> Future[Found]:
        future: Future[Found] = Future()
        if self.stuck:
            future.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT, "while waiting for controller")))
        elif self.stale:
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
    monkeypatch.setattr(kafka_renewed, "_AGAIN_S", 0.0)
    log = log_of(monkeypatch, Client(stale=True), Client(stale=True), Client(stale=False))
    with pytest.raises(LogAway):
        log.bounds([NAME])
    assert log.bounds([NAME]) == {NAME: (7, 7)}


def test_a_client_that_waits_for_a_controller_for_ever_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """It learned of the cluster while the broker was fenced."""
    log = log_of(monkeypatch, Client(stuck=True), Client())
    with pytest.raises(LogAway, match="waiting for controller"):
        log.bounds([NAME])
    assert log.bounds([NAME]) == {NAME: (7, 7)}


def test_while_the_broker_is_away_there_is_not_a_new_client_for_each_question(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Client] = []

    def make(_: object) -> Client:
        made.append(Client(stuck=True))
        return made[-1]

    monkeypatch.setattr(admin, "AdminClient", make)
    log = KafkaLog(Kafka(bootstrap="127.0.0.1:1"))
    for _ in range(20):
        with pytest.raises(LogAway):
            log.bounds([NAME])
    assert len(made) == 2


def test_of_all_who_asked_one_client_in_vain_one_replaces_it() -> None:
    numbers, now_s = iter(range(10)), 0.0
    renewed = Renewed(lambda: next(numbers), "test", lambda: now_s)
    why = LogAway("no answer")
    asked = renewed.client
    assert [renewed.renew(asked, why) for _ in range(3)] == [True] * 3
    assert renewed.client == 1
    assert not renewed.renew(1, why)
    assert renewed.client == 1
    now_s = 60.0
    assert renewed.renew(1, why)
    assert renewed.client == 2


class Member:
    """librdkafka's consumer of a group's offsets: the first one that is made hears nothing."""

    made = 0

    def __init__(self, _: object) -> None:
        type(self).made += 1
        self._number = self.made

    def committed(self, asked: list[confluent_kafka.TopicPartition], **_: Any) -> list[confluent_kafka.TopicPartition]:
        if self._number == 1:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        return [confluent_kafka.TopicPartition(one.topic, one.partition, 5) for one in asked]


def test_what_a_group_committed_is_asked_of_another_client_than_the_one_that_heard_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(confluent_kafka, "Consumer", type("OfThisTest", (Member,), {}))
    offsets = GroupOffsets({})
    with pytest.raises(LogAway):
        offsets.committed("group", [NAME])
    assert offsets.committed("group", [NAME]) == {NAME: 5}
