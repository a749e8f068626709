"""A producer whose client gives itself up is replaced, and everything else is what it was."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from streams.clock import SystemClock
from streams.lasting import LastingProducer
from streams.log import ClientOver, Delivery, LogAway
from streams.wire import Message

RECORD = Message("topic", b"key", b"value")


class Clock(SystemClock):
    now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


class Client:
    """Takes records until it fails by `failure`."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.taken = 0
        self.closed = threading.Event()

    def send(self, message: Message) -> Future[Delivery]:
        future: Future[Delivery] = Future()
        if self.failure is not None:
            future.set_exception(self.failure)
        else:
            self.taken += 1
            future.set_result(Delivery(message.topic, 0, self.taken))
        return future

    def close(self, timeout_s: float) -> int:
        self.closed.set()
        return 0


def lasting() -> tuple[LastingProducer, list[Client], Clock]:
    clients: list[Client] = []
    clock = Clock()

    def opened() -> Any:
        clients.append(Client())
        return clients[-1]

    return LastingProducer(opened, clock), clients, clock


def test_a_client_that_gave_itself_up_is_replaced_and_not_for_each_record() -> None:
    producer, clients, clock = lasting()
    producer.send(RECORD).result(0)
    clock.now_s += 60
    clients[0].failure = ClientOver("a gap")
    with pytest.raises(ClientOver):
        producer.send(RECORD).result(0)
    producer.send(RECORD).result(0)
    assert [client.taken for client in clients] == [1, 1]

    clients[1].failure = ClientOver("another gap")
    for _ in range(10):
        with pytest.raises(ClientOver):
            producer.send(RECORD).result(0)
    assert len(clients) == 2
    clock.now_s += 60
    producer.send(RECORD).result(0)
    assert [client.taken for client in clients] == [1, 1, 1]
    assert all(client.closed.wait(60) for client in clients[:2])
    assert producer.close(0.0) == 0
    assert clients[2].closed.is_set()


def test_a_log_that_is_away_has_the_same_client_when_it_is_back() -> None:
    producer, clients, clock = lasting()
    clients[0].failure = LogAway("away")
    for _ in range(3):
        clock.now_s += 60
        with pytest.raises(LogAway):
            producer.send(RECORD).result(0)
    clients[0].failure = None
    producer.send(RECORD).result(0)
    assert len(clients) == 1


def test_where_no_other_client_can_be_had_the_old_one_stays_and_not_each_record_asks_for_one() -> None:
    producer, clients, clock = lasting()
    opened, refused = producer._opened, 0

    def fails() -> Any:
        nonlocal refused
        refused += 1
        raise RuntimeError("can't start new thread")

    clients[0].failure = ClientOver("a gap")
    with pytest.raises(ClientOver):
        producer.send(RECORD).result(0)
    producer._opened = fails
    for tries in (1, 2):
        clock.now_s += 60
        for _ in range(3):
            with pytest.raises(ClientOver):
                producer.send(RECORD).result(0)
        assert refused == tries
    assert not clients[0].closed.is_set()
    producer._opened = opened
    clock.now_s += 60
    producer.send(RECORD).result(0)
    assert clients[0].closed.wait(60)
