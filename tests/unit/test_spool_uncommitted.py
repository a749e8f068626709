"""Who asks for storage commitment of what is on the disk alone is told no, wherever on the disk that is."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from producers.dicom_router.spool import aside, stuck
from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.reading import read
from producers.dicom_router.spool.record import short
from producers.dicom_router.spool.spool import Spool
from tests.spools import incoming, opened, unreadable
from tests.waiting import wait_until


def die(spool: Spool) -> None:
    """The lock of its folder goes."""
    own = spool._writing._own
    assert own is not None
    os.close(own.descriptor)
    spool._writing._own = None


def in_hand(spool: Spool) -> Entry:
    entry = spool.waiting.take(0.0)
    assert entry is not None
    return entry


def set_aside(spool: Spool, entry: Entry) -> None:
    aside.set_record_aside(spool.folder, entry.found, *read(entry.shelf.path, entry.found), "a reason")
    spool.settled(entry)


# `incoming` has the first of these.
ASKED = frozenset((short("1.2.3.4.5"), short("1.2.3.4.6")))
OTHER = frozenset((short("1.2.3.4.6"),))


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = opened(tmp_path / "spool")
    yield spool
    spool.close()


def test_it_is_held_until_it_is_committed(spool: Spool) -> None:
    assert not spool.holds_any(ASKED)
    spool.append(incoming(b"one"))
    spool.append(incoming(b"two"))
    assert not spool.holds_any(OTHER)
    for held in (True, False):
        entry = in_hand(spool)
        assert spool.holds_any(ASKED)
        spool.settled(entry)
        assert spool.holds_any(ASKED) is held


def test_what_is_stuck_is_held(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    spool.append(incoming(b"one"))
    spool.stuck(in_hand(spool))
    assert spool.holds_any(ASKED)
    monkeypatch.setattr(stuck, "PAUSE_S", 0.0)
    spool.look()
    assert spool.holds_any(ASKED)


def test_what_stands_aside_is_held_until_it_is_taken_back_and_committed(spool: Spool) -> None:
    spool.append(incoming(b"one"))
    set_aside(spool, in_hand(spool))
    assert spool.holds_any(ASKED)
    assert not spool.holds_any(OTHER)
    again = opened(spool.folder)
    assert again.holds_any(ASKED)
    assert spool.holds_any(ASKED)
    again.settled(in_hand(again))
    assert not again.holds_any(ASKED)
    assert not spool.holds_any(ASKED)
    again.close()


def test_what_comes_back_from_aside_while_the_router_runs_is_held(spool: Spool) -> None:
    spool.append(incoming(b"one"))
    entry = in_hand(spool)
    other = opened(spool.folder)
    for _ in range(2):
        set_aside(spool, entry)
        for record in aside.records(spool.folder):
            os.utime(record, (0, 0))
        other.try_aside_again()
        assert aside.count(spool.folder) == 0
        assert spool.holds_any(ASKED)
        assert other.holds_any(ASKED)
        spool, other = other, spool
        entry = in_hand(spool)
    other.close()


def test_what_another_process_has_is_held_also_once_it_is_taken_over(spool: Spool) -> None:
    other = opened(spool.folder)
    other.append(incoming(b"one"))
    assert spool.holds_any(ASKED)
    assert not spool.holds_any(OTHER)
    die(other)
    spool.look()
    assert spool.holds_any(ASKED)


def test_what_cannot_be_read_may_be_it(spool: Spool) -> None:
    other = opened(spool.folder)
    other.append(incoming(b"one"))
    die(other)
    with unreadable(OSError(errno.EIO, "Input/output error")):
        spool.look()
        assert spool.holds_any(OTHER)


@pytest.mark.parametrize("is_known", [False, True])
def test_what_another_process_has_and_cannot_be_read_may_be_it(spool: Spool, is_known: bool) -> None:
    """Out of files, say. What was read before is known."""
    other = opened(spool.folder)
    other.append(incoming(b"one"))
    assert not is_known or spool.holds_any(ASKED)
    with unreadable(OSError(errno.EMFILE, "Too many open files")):
        if is_known:
            assert spool.holds_any(ASKED)
            assert not spool.holds_any(OTHER)
            other.append(incoming(b"two"))
        with pytest.raises(OSError, match="cannot be read"):
            spool.holds_any(OTHER)

    def is_known_again() -> bool:
        # It is let be for a moment.
        with suppress(OSError):
            return not spool.holds_any(OTHER)
        return False

    wait_until(is_known_again, "it to be read")
    assert spool.holds_any(ASKED)
    other.close()


def test_a_file_aside_that_cannot_be_read_may_be_it(spool: Spool) -> None:
    spool.append(incoming(b"one"))
    set_aside(spool, in_hand(spool))
    with unreadable(OSError(errno.EIO, "Input/output error")), pytest.raises(OSError, match="Input"):
        spool.holds_any(OTHER)
