"""A segment that disk or machine do not give back now: it is waited for, told of, and read when it can be."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from producers.dicom_router.spool import aside, inherited, places, recovery, ticks
from producers.dicom_router.spool.reading import read
from producers.dicom_router.spool.record import short
from producers.dicom_router.spool.spool import Spool
from streams.backoff import Backoff
from tests.spools import drained, incoming, kept, opened, segments, unlistable, unreadable
from tests.waiting import wait_until

STUDY, OTHER = "1.2.3", "1.2.4"
PASSING = [OSError(errno.EMFILE, "Too many open files"), OSError(errno.EIO, "Input/output error"), MemoryError()]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inherited, "_AGAIN", Backoff(0.0, 0.0))


def left(folder: Path) -> list[Path]:
    """Two segments that a process leaves, each with an image of both studies."""
    spool = opened(folder, segment_bytes=1 << 16)
    for number in range(2):
        spool.append(incoming(b"%d of one" % number + bytes(30_000), STUDY))
        spool.append(incoming(b"%d of other" % number + bytes(30_000), OTHER))
    found = segments(folder)
    spool.close()
    return found


def names(spool: Spool) -> list[bytes]:
    return [data_set.rstrip(b"\0") for data_set in drained(spool)]


@pytest.mark.parametrize("error", PASSING, ids=["files", "disk", "memory"])
def test_what_could_not_be_read_when_it_was_taken_over_is_read_once_it_can_be(tmp_path: Path, error: Exception) -> None:
    taker = opened(tmp_path)
    paths = left(tmp_path)
    with unreadable(error, *paths):
        taker.look()
        taker.look()
        waits = taker.unreadable
        assert waits is not None
        assert waits.segments == 2
        assert taker.figures()[0] == 0
    taker.look()
    assert taker.unreadable is None
    assert taker.figures()[0] == 4
    assert names(taker) == [b"0 of one", b"0 of other", b"1 of one", b"1 of other"]
    taker.look()
    taker.close()
    assert places.owned_folders(tmp_path) == []


def test_what_cannot_be_read_at_the_start_is_read_without_another_start(tmp_path: Path) -> None:
    paths = left(tmp_path)
    with unreadable(OSError(errno.EIO, "Input/output error"), paths[0]):
        spool = opened(tmp_path)
        assert names(spool) == [b"1 of one", b"1 of other"]
    spool.look()
    assert names(spool) == [b"0 of one", b"0 of other"]
    spool.close()


@pytest.mark.parametrize("runs", [False, True], ids=["at the start", "while it runs"])
def test_a_folder_that_cannot_be_listed_stops_neither_a_router_nor_what_others_left(tmp_path: Path, runs: bool) -> None:
    spools = [opened(tmp_path)] if runs else []
    one, other = opened(tmp_path), opened(tmp_path)
    one.append(incoming(b"of one", STUDY))
    other.append(incoming(b"of another", OTHER))
    (broken,) = {path.parent for path in segments(tmp_path) if b"of one" in path.read_bytes()}
    one.close()
    other.close()
    with unlistable(broken):
        taker = spools[0] if runs else opened(tmp_path)
        assert taker.look() is None
        assert drained(taker) == [b"of another"]
        waits = taker.unreadable
        assert waits is not None
        assert waits.segments == 1
        assert taker.holds_any({short(kept().sop_instance_uid)})
    taker.look()
    assert taker.unreadable is None
    assert drained(taker) == [b"of one"]
    taker.look()
    taker.close()
    assert places.owned_folders(tmp_path) == []


def test_what_stood_aside_and_cannot_be_read_at_the_start_is_read_later(tmp_path: Path) -> None:
    before = opened(tmp_path)
    before.append(incoming(b"an image"))
    entry = before.waiting.take(0.0)
    assert entry is not None
    aside.set_record_aside(tmp_path, entry.found, *read(entry.shelf.path, entry.found), "the log refused its event")
    before.settled(entry)
    before.close()
    with unreadable(OSError(errno.EIO, "Input/output error")):
        spool = opened(tmp_path)
        assert aside.count(tmp_path) == 0
        assert spool.unreadable is not None
    spool.look()
    assert drained(spool) == [b"an image"]
    spool.close()


def ended(folder: Path, taker: Spool) -> list[Path]:
    """The segments of a process that has ended, with an image of the study that `taker` knew of."""
    writer = opened(folder)
    writer.append(incoming(b"first", STUDY))
    assert taker.holds(STUDY)
    paths = segments(folder)
    writer.close()
    return paths


def test_its_studies_are_known_while_it_cannot_be_read_and_nothing_of_them_overtakes(tmp_path: Path) -> None:
    taker = opened(tmp_path)
    paths = ended(tmp_path, taker)
    with unreadable(OSError(errno.EMFILE, "Too many open files"), *paths):
        taker.look()
        assert taker.holds(STUDY)
        assert not taker.holds(OTHER)
        taker.append(incoming(b"second", STUDY))
        entry = taker.waiting.take(0.0)
        assert entry is not None
        assert taker.wait_for_others(entry)
    taker.look()
    entry = taker.waiting.take(5.0)
    assert entry is not None
    assert not taker.wait_for_others(entry)
    taker.settled(entry)
    assert drained(taker) == [b"second"]
    assert not taker.holds(STUDY)
    taker.close()


@pytest.mark.parametrize(
    "broken",
    [
        lambda path: unreadable(OSError(errno.EIO, "Input/output error"), path),
        lambda path: unlistable(path.parent),
    ],
    ids=["segment", "folder"],
)
def test_what_stays_unreadable_holds_up_its_studies_no_longer_than_it_may_be_passing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: Callable[[Path], AbstractContextManager[None]]
) -> None:
    monkeypatch.setattr(inherited, "_WAITED_FOR_S", 0.0)
    taker = opened(tmp_path)
    (path,) = ended(tmp_path, taker)
    with broken(path):
        taker.look()
        assert not taker.holds(STUDY)
        assert taker.unreadable is not None
    taker.look()
    assert drained(taker) == [b"first"]
    taker.close()


def test_a_folder_that_a_person_took_away_because_it_cannot_be_listed_is_waited_for_no_more(tmp_path: Path) -> None:
    taker, other = opened(tmp_path), opened(tmp_path)
    (path,) = ended(tmp_path, taker)
    other.append(incoming(b"of another", OTHER))
    (left_by_other,) = {*segments(tmp_path)} - {path}
    other.close()
    with unlistable(path.parent):
        taker.look()
        assert taker.unreadable is not None
    shutil.rmtree(path.parent)

    def is_over() -> bool:
        taker.look()
        return taker.unreadable is None

    wait_until(is_over, "what is gone to be noticed")
    assert not taker.holds(STUDY)
    assert drained(taker) == [b"of another"]
    taker.look()
    assert not left_by_other.parent.exists()
    taker.close()


def test_what_is_committed_while_it_is_taken_over_is_no_segment_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taker = opened(tmp_path)
    paths = left(tmp_path)
    really = recovery.take_over

    def gone_then(folder: Path) -> object:
        found = really(folder)
        paths[0].unlink()
        return found

    monkeypatch.setattr(inherited, "take_over", gone_then)
    taker.look()
    assert taker.unreadable is None
    assert names(taker) == [b"1 of one", b"1 of other"]
    taker.close()


def test_after_a_boot_a_segment_that_cannot_be_read_does_not_stop_the_start(tmp_path: Path) -> None:
    paths = left(tmp_path)
    (tmp_path / ticks.NAME).unlink()
    with unreadable(OSError(errno.EIO, "Input/output error"), paths[0]):
        spool = opened(tmp_path)
        assert names(spool) == [b"1 of one", b"1 of other"]
    spool.close()
