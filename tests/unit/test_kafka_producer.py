"""The producer where no broker answers: nobody waits for ever, and nothing of it is left behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import confluent_kafka
import pytest
from confluent_kafka import KafkaError

from streams import kafka_producer
from streams.config import Kafka
from streams.kafka_log import KafkaLog
from streams.kafka_producer import KafkaProducer
from streams.log import Delivery, LogAway
from streams.wire import Message
from tests.waiting import wait_until

RECORD = Message("topic", b"key", b"value")
# Nobody listens there.
NOBODY = "127.0.0.1:1"


def made(*, patient: bool = False, **properties: str) -> KafkaProducer:
    named = {name.replace("_", "."): value for name, value in properties.items()}
    return KafkaLog(Kafka(bootstrap=NOBODY, properties={"log_level": "0", **named})).producer(patient=patient)


@pytest.fixture
def one_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaProducer]:
    """A patient one whose queue has room for one record."""
    monkeypatch.setattr(kafka_producer, "_FULL_S_MAX", 0.2)
    producer = made(patient=True, queue_buffering_max_messages="1")
    yield producer
    producer.close(0.0)


def in_a_thread(producer: KafkaProducer) -> list[Future[Delivery]]:
    """What `send` returns is in the list when it returns: a test of who waits for ever ends all the same."""
    sent: list[Future[Delivery]] = []
    threading.Thread(target=lambda: sent.append(producer.send(RECORD)), daemon=True).start()
    return sent


def native_threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def test_one_who_looks_away_does_not_take_the_others_reports_with_it() -> None:
    """As the gateway does, whose requests have a time limit and clients that hang up."""
    producer = made(delivery_timeout_ms="2000")

    async def looks_away() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(producer.send(RECORD)), 0.05)

    asyncio.run(looks_away())
    another = producer.send(RECORD)
    with pytest.raises(LogAway):
        another.result(60.0)
    with pytest.raises(LogAway):
        producer.send(RECORD).result(60.0)
    producer.close(0.0)


def test_a_queue_that_stays_full_is_a_log_that_is_away(one_place: KafkaProducer) -> None:
    first = one_place.send(RECORD)
    sent = in_a_thread(one_place)
    wait_until(lambda: sent, "the sender being told")
    with pytest.raises(LogAway, match="queue is full"):
        sent[0].result(0.0)
    assert not first.done()


def test_who_waits_for_room_is_let_go_when_the_producer_is_closed(
    one_place: KafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka_producer, "_FULL_S_MAX", 60.0)
    first = one_place.send(RECORD)
    sent = in_a_thread(one_place)
    wait_until(lambda: one_place._full_since_s is not None, "the sender waiting")
    assert one_place.close(0.0) == 1
    wait_until(lambda: sent, "the sender being told")
    for future in (first, sent[0], one_place.send(RECORD)):
        with pytest.raises(LogAway):
            future.result(60.0)
    assert one_place.close(0.0) == 0


def test_one_that_is_closed_leaves_no_thread_behind() -> None:
    """The runner makes a new one whenever the log does not acknowledge."""
    made().close(0.0)
    before = native_threads()
    for _ in range(5):
        producer = made(patient=True)
        producer.send(RECORD)
        producer.close(0.0)
    wait_until(lambda: native_threads() <= before, "the threads being gone")


def test_a_log_that_nobody_keeps_is_gone_without_a_look_for_cycles() -> None:
    """Its client for administration has threads of its own."""
    gc.collect()
    gc.disable()
    try:
        kept = weakref.ref(KafkaLog(Kafka(bootstrap=NOBODY)))
        assert kept() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("name", ["delivery.timeout.ms", "message.timeout.ms"])
def test_a_patient_one_gives_nothing_up_by_itself_whatever_the_site_set(name: str) -> None:
    patient, hasty = made(patient=True, **{name: "200"}), made(**{name: "200"})
    waiting = patient.send(RECORD)
    for _ in range(2):
        with pytest.raises(LogAway):
            hasty.send(RECORD).result(60.0)
    assert not waiting.done()
    patient.close(0.0)
    with pytest.raises(LogAway):
        waiting.result(60.0)
    hasty.close(0.0)


class Client:
    """In librdkafka's place: `queued` is called whenever a record is queued, before it is."""

    def __init__(self, queued: Callable[[], object]) -> None:
        self.flushed, self._ended = threading.Event(), threading.Event()
        self._queued = queued
        self._reports: list[Callable[[KafkaError, None], None]] = []

    def produce(self, *_: object, on_delivery: Callable[[KafkaError, None], None], **__: object) -> None:
        self._queued()
        self._reports.append(on_delivery)

    def poll(self, timeout_s: float) -> None:
        self._ended.wait(timeout_s)

    def flush(self, timeout_s: float) -> int:
        while self._reports:
            self._reports.pop()(KafkaError(KafkaError._PURGE_QUEUE), None)
        self.flushed.set()
        return 0

    def close(self) -> None:
        self._ended.set()


def of_client(client: Client, monkeypatch: pytest.MonkeyPatch) -> KafkaProducer:
    def made_of(settings: dict[str, Any]) -> Client:
        return client

    monkeypatch.setattr(confluent_kafka, "Producer", made_of)
    return KafkaProducer({})


def test_a_record_that_comes_while_the_producer_is_closed_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its fate comes with the last flush, so it is queued before that or not at all."""
    closing: list[threading.Thread] = []

    def close_meanwhile() -> None:
        closing.append(threading.Thread(target=producer.close, args=(0.0,), daemon=True))
        closing[0].start()
        client.flushed.wait(0.5)

    client = Client(close_meanwhile)
    producer = of_client(client, monkeypatch)
    future = producer.send(RECORD)
    closing[0].join(20.0)
    with pytest.raises(LogAway):
        future.result(0.0)


def test_a_client_that_says_that_it_is_closed_is_a_log_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed() -> None:
        raise RuntimeError("Producer has been closed")

    producer = of_client(Client(closed), monkeypatch)
    with pytest.raises(LogAway, match="closed"):
        producer.send(RECORD).result(0.0)
    producer.close(0.0)
