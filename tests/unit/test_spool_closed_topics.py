"""A topic that lets the router write nothing: what goes there waits, and everything else goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace

from producers.dicom_router.archive import Archive
from producers.dicom_router.arrival import OUT_OF_RESOURCES, SUCCESS, Arrival, Refusal
from producers.dicom_router.data_set import DataSet, Room
from producers.dicom_router.lanes import Lanes
from producers.dicom_router.object_buffer import Budget, BufferPool
from producers.dicom_router.receiver import Receiver
from producers.dicom_router.spool import aside, draining
from producers.dicom_router.spool.breaker import Breaker
from producers.dicom_router.spool.config import Settings
from producers.dicom_router.spool.draining import Drain
from producers.dicom_router.spool.incoming import Incoming
from producers.dicom_router.spool.keeping import Keeping
from producers.dicom_router.spool.spool import Spool
from schemas import Lane
from streams.health import Health
from streams.log import Delivery, LogClosed, TopicClosed
from streams.memory_store import MemoryStore
from streams.protected import ProtectedBlocks
from streams.wire import Message
from tests.router_archives import SITE, archive_on
from tests.routers import CT, EXPLICIT, AdjustableClock, Ct, RandomKeys
from tests.spools import FILE_HEAD, kept, opened
from tests.waiting import wait_until

STAT, AUDIT = "imaging.instance.received.stat", "imaging.audit.event"


class Log:
    """A producer of which the topics of `closed` take nothing, for `why`."""

    def __init__(self) -> None:
        self.closed: set[str] = set()
        self.why: type[LogClosed] = TopicClosed
        self.written: list[str] = []
        self._lock = threading.Lock()

    def send(self, message: Message) -> Future[Delivery]:
        future: Future[Delivery] = Future()
        with self._lock:
            if message.topic in self.closed:
                future.set_exception(self.why(f"write to {message.topic}: TOPIC_AUTHORIZATION_FAILED"))
            else:
                self.written.append(message.topic)
                future.set_result(Delivery(message.topic, 0, len(self.written)))
        return future

    def close(self, timeout_s: float) -> int:
        return 0


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def archive(log: Log) -> Archive:
    store = MemoryStore()
    blocks = ProtectedBlocks(store, RandomKeys(), SITE.tenant)
    return archive_on(store, log, blocks, AdjustableClock(), Lanes({"ER": "stat"}, dict))


@pytest.fixture
def health(archive: Archive) -> Health:
    return Health(archive.clock)


@pytest.fixture
def spooled(archive: Archive, health: Health, tmp_path: Path) -> Iterator[Keeping]:
    settings = Settings(folder=tmp_path / "spool", budget_bytes=64 << 20, free_bytes_min=0, segment_bytes=1 << 16)
    keeping = Keeping(archive, settings, health)
    yield keeping
    keeping.stop()


@pytest.fixture
def unspooled(archive: Archive, health: Health) -> Keeping:
    return Keeping(archive, Settings(), health)


def waiting_image(number: int, lane: Lane) -> Incoming:
    study = f"1.2.{number}"
    data = Ct(study=study, instance=f"{study}.1").data_set()
    digest = sha256(FILE_HEAD + data).digest()
    return Incoming(replace(kept(study, f"{study}.1"), lane=lane), 1_767_600_000_000, digest, (FILE_HEAD, data))


def arrival(number: int, calling_ae: str = "SCANNER") -> Arrival:
    """An image of a study of its own."""
    image = Ct(study=f"1.3.{number}", instance=f"1.3.{number}.1")
    named, data = image.instance, image.data_set()
    content = DataSet(Room(1 << 20, BufferPool(Budget(8 << 20)), Budget(0)), CT, named, EXPLICIT)
    with content.room(len(data)) as room:
        room[:] = data
    content.filled(len(data))
    return Arrival(CT, named, CT, EXPLICIT, content, calling_ae, "RADSTREAM", "association")


def drained(spool: Spool, archive: Archive, log: Log) -> None:
    breaker = Breaker(archive.clock, 5.0)
    log.closed = {STAT}
    drain = Drain(spool, archive, breaker)
    try:
        wait_until(lambda: spool.waiting.count == 10, "all of the other lane being settled")
        assert len(log.written) == 40
        assert breaker.closed
        log.closed = set()
        wait_until(lambda: not spool.waiting.count, "those of the topic that was mended")
    finally:
        drain.stop()


def test_what_waits_for_one_topic_holds_up_nothing_that_goes_to_another(
    archive: Archive, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draining, "_CLOSED_S", 0.02)
    spool = opened(tmp_path / "spool")
    for number in range(50):
        spool.append(waiting_image(number, "stat" if number < 10 else "routine"))
    drained(spool, archive, log)
    assert aside.count(tmp_path / "spool") == 0
    assert log.written[40:] == [STAT] * 10
    spool.close()


def test_who_sends_to_a_topic_that_is_closed_lands_on_the_spool_and_others_do_not(
    spooled: Keeping, health: Health, archive: Archive, log: Log
) -> None:
    log.closed = {STAT}
    receiver = Receiver(spooled, health, archive.clock)
    for number in range(5):
        assert receiver.answer(arrival(number, "ER")) == SUCCESS
        assert receiver.answer(arrival(100 + number)) == SUCCESS
        assert len(log.written) == number + 1
    assert "commit" not in health.failing()


def test_without_a_spool_only_they_are_told_to_try_again_and_readiness_says_what_is_closed(
    unspooled: Keeping, health: Health, archive: Archive, log: Log
) -> None:
    log.closed = {STAT}
    receiver = Receiver(unspooled, health, archive.clock)
    for number in range(3):
        assert receiver.answer(arrival(number, "ER")) == OUT_OF_RESOURCES
        assert f"{STAT}: TOPIC_AUTHORIZATION_FAILED" in health.failing()["commit"]
        assert receiver.answer(arrival(100 + number)) == SUCCESS


def test_a_refusal_that_cannot_be_audited_says_nothing_of_what_others_send(unspooled: Keeping, log: Log) -> None:
    log.closed = {AUDIT}
    for number in range(3):
        with pytest.raises(TopicClosed):
            unspooled.refuse(arrival(number), Refusal(0xC000, "no UID"))
    assert unspooled._breaker.closed


def test_readiness_says_what_the_log_does_not_let_us_for_as_long_as_that_is_why(
    unspooled: Keeping, health: Health, archive: Archive, log: Log
) -> None:
    log.closed, log.why = {STAT}, LogClosed
    receiver = Receiver(unspooled, health, archive.clock)
    for number in range(5):
        assert receiver.answer(arrival(number, "ER")) == OUT_OF_RESOURCES
        assert "TOPIC_AUTHORIZATION_FAILED" in health.failing()["commit"]
