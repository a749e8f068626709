"""One object that the store does not take, over HTTP: the others are committed as if it were not there."""

from __future__ import annotations

import io
import itertools
import os
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from producers.dicom_router.archive import Archive
from producers.dicom_router.arrival import OUT_OF_RESOURCES, STORE_REFUSES, SUCCESS, Arrival
from producers.dicom_router.header import Header, read_header
from producers.dicom_router.receiver import Receiver
from producers.dicom_router.spool import again, aside, held_up
from producers.dicom_router.spool.config import Settings
from producers.dicom_router.spool.incoming import Incoming
from producers.dicom_router.spool.keeping import HELD_UP, Keeping
from streams.backoff import Backoff
from streams.health import Health
from streams.protected import ProtectedBlocks
from tests import logged
from tests.refusing_stores import RESET, TOO_LARGE, Answer, RefusingStore, coded, refusing_store
from tests.router_archives import SITE, archive_on
from tests.routers import AdjustableClock, Ct, RandomKeys
from tests.spools import FILE_HEAD, kept, opened
from tests.unit.test_spool_closed_topics import AUDIT, Log, arrival
from tests.waiting import wait_until

# As keys have their SOP instances: the first image that waits of a study, and the image that is sent of another.
WAITING, SENT = "/1.2.66.1/", "/1.3.66.1/"
UNCLEAR = [Answer(400), coded(403, "AccessDenied"), RESET]
FOLDER = "spool"


@pytest.fixture
def refusing() -> Iterator[RefusingStore]:
    with refusing_store() as served:
        yield served


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def archive(refusing: RefusingStore, log: Log) -> Archive:
    store = refusing.store
    return archive_on(store, log, ProtectedBlocks(store, RandomKeys(), SITE.tenant), AdjustableClock())


@pytest.fixture
def health(archive: Archive) -> Health:
    return Health(archive.clock)


@pytest.fixture
def keeping(archive: Archive, health: Health, tmp_path: Path) -> Iterator[Keeping]:
    """With a spool on which two images of the poisonous study wait, and one of another."""
    spool = opened(tmp_path / FOLDER)
    for study, number in (("1.2.66", 1), ("1.2.66", 2), ("1.2.5", 1)):
        spool.append(waiting(study, number))
    spool.close()
    settings = Settings(folder=tmp_path / FOLDER, budget_bytes=64 << 20, free_bytes_min=0, segment_bytes=1 << 16)
    keeping = Keeping(archive, settings, health)
    yield keeping
    keeping.stop()


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    with logged.captured() as stream:
        yield stream


def waiting(study: str, number: int) -> Incoming:
    data = Ct(study=study, instance=f"{study}.{number}").data_set()
    return Incoming(
        kept(study, f"{study}.{number}"), 1_767_600_000_000, sha256(FILE_HEAD + data).digest(), (FILE_HEAD, data)
    )


def acknowledged(promise: str) -> float:
    return REGISTRY.get_sample_value("radstream_acknowledged_total", {"promise": promise}) or 0.0


def events(said: io.StringIO) -> list[str]:
    return [line["event"] for line in logged.lines(said)]


def test_what_the_store_refuses_of_a_sender_is_refused_and_others_are_replicated(
    keeping: Keeping, refusing: RefusingStore, health: Health, archive: Archive, log: Log, said: io.StringIO
) -> None:
    refusing.answers = {SENT: TOO_LARGE}
    receiver = Receiver(keeping, health, archive.clock)
    wait_until(lambda: len(log.written) == 3, "what waited being committed")
    spooled, replicated = acknowledged("spool"), acknowledged("replicated")
    for number in range(10):
        assert receiver.answer(arrival(66)) == STORE_REFUSES
        assert receiver.answer(arrival(100 + number)) == SUCCESS
    assert (acknowledged("spool"), acknowledged("replicated")) == (spooled, replicated + 10)
    assert log.written.count(AUDIT) == 10
    assert "parts_away" not in events(said)
    assert health.failing().keys() <= {"started"}
    (reason,) = {line["reason"] for line in logged.lines(said) if line["event"] == "instance_refused"}
    assert "EntityTooLarge" in reason
    assert "1.3.66" not in said.getvalue()


def test_what_the_store_refuses_of_the_spool_stands_aside_with_its_reason_and_its_study_goes_on(
    refusing: RefusingStore, request: pytest.FixtureRequest, tmp_path: Path, log: Log, said: io.StringIO
) -> None:
    refusing.answers = {WAITING: Answer(413, "<html>413 Request Entity Too Large</html>")}
    keeping = request.getfixturevalue("keeping")
    replicated = acknowledged("replicated")
    for number in range(10):
        keeping.keep(*sent(number))
    wait_until(lambda: len(log.written) == 12, "all others being committed")
    wait_until(lambda: not keeping._spool.waiting.count, "nothing waiting")
    assert acknowledged("replicated") == replicated + 10
    assert refusing.refused == 1
    (reason,) = (tmp_path / FOLDER / "aside").glob("*.reason")
    assert "the store does not take it" in reason.read_text()
    assert "(413)" in reason.read_text()
    assert aside.count(tmp_path / FOLDER) == 1
    assert "parts_away" not in events(said)


def test_what_stands_aside_is_tried_again_without_a_restart_less_often_each_time(
    refusing: RefusingStore,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path / FOLDER
    monkeypatch.setattr(again, "LOOK_S", 0.0)
    refusing.answers = {WAITING: TOO_LARGE}
    keeping = request.getfixturevalue("keeping")

    def stands_aside() -> bool:
        return refusing.refused == tries and aside.count(folder) == 1 and not keeping._spool.waiting.count

    tries = 1
    wait_until(stands_aside, "it standing aside")
    keeping.look()
    assert stands_aside(), "it was refused just now"
    of_hours(folder, 3)
    keeping.look()
    tries = 2
    wait_until(stands_aside, "it being tried again, and refused again")
    (reason,) = (folder / "aside").glob("*.reason")
    assert '"tries":2' in reason.read_text()
    of_hours(folder, 1.9)
    keeping.look()
    assert stands_aside(), "after the second time it is let be for two hours at least"
    refusing.answers = {}
    of_hours(folder, 25)
    keeping.look()
    wait_until(lambda: len(log.written) == 3, "what waited being committed, and it")
    wait_until(lambda: not keeping._spool.waiting.count, "nothing waiting")
    assert not any((folder / "aside").iterdir())


def of_hours(folder: Path, hours: float) -> None:
    """As if what stands aside did so for some hours."""
    for path in aside.records(folder):
        os.utime(path, (time.time() - hours * 3600,) * 2)


@pytest.mark.parametrize("answer", UNCLEAR)
def test_what_fails_while_others_are_committed_is_held_up_and_said_and_nobody_else_waits(
    refusing: RefusingStore,
    request: pytest.FixtureRequest,
    health: Health,
    tmp_path: Path,
    said: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
    answer: Answer,
) -> None:
    monkeypatch.setattr(held_up, "_AGAIN", Backoff(first_s=0.1, max_s=0.4))
    refusing.answers = {WAITING: answer}
    keeping = request.getfixturevalue("keeping")
    numbers = itertools.count()

    def held() -> bool:
        keeping.keep(*sent(next(numbers)))
        keeping.look()
        return HELD_UP in health.warnings()

    wait_until(held, "the one that fails being said")
    warning = health.warnings()[HELD_UP]
    assert ".segment" in warning
    assert "1.2.66" not in warning
    opened_before, refused, replicated = events(said).count("parts_away"), refusing.refused, acknowledged("replicated")
    for _ in range(3):
        keeping.keep(*sent(next(numbers)))
    wait_until(lambda: refusing.refused >= refused + 3, "three more tries")
    for _ in range(3):
        keeping.keep(*sent(next(numbers)))
    assert acknowledged("replicated") == replicated + 6
    assert events(said).count("parts_away") == opened_before == 1
    assert keeping._spool.waiting.count == 2, "it, and what came behind it of its study"
    assert aside.count(tmp_path / FOLDER) == 0

    refusing.answers = {}
    wait_until(lambda: not keeping._spool.waiting.count, "the study being committed")
    keeping.look()
    assert HELD_UP not in health.warnings()


@pytest.mark.parametrize("answer", UNCLEAR)
def test_without_a_spool_who_sends_it_again_and_again_is_no_absence_to_others(
    refusing: RefusingStore, archive: Archive, health: Health, said: io.StringIO, answer: Answer
) -> None:
    refusing.answers = {SENT: answer}
    receiver = Receiver(Keeping(archive, Settings(), health), health, archive.clock)
    for number in range(5):
        assert receiver.answer(arrival(66)) == OUT_OF_RESOURCES
        assert receiver.answer(arrival(100 + number)) == SUCCESS
    assert events(said).count("parts_away") == 1, "at first, nobody can tell"


def sent(number: int) -> tuple[Arrival, Header]:
    """An image of a study of its own."""
    image = arrival(1000 + number)
    return image, read_header(image.data_set, image.transfer_syntax_uid)
