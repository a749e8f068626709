"""Two routers on one spool's folder, an older and a younger: a study's order holds across both, and nothing is left."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest

from producers.dicom_router.spool import places
from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.spool import Spool
from tests.spools import incoming, opened, taken

STUDY, OTHER = "1.2.3", "1.2.4"


def committed(spool: Spool) -> list[bytes]:
    """What the spool's drain would commit now, in order; it is settled."""
    found = []
    while (entry := spool.waiting.take(0.0)) is not None:
        if not spool.wait_for_elders(entry):
            found.append(entry.found.head.digest)
            spool.settled(entry)
    return found


def test_what_waits_on_an_elders_spool_is_not_overtaken(tmp_path: Path) -> None:
    old, first, second = opened(tmp_path), incoming(b"first"), incoming(b"second")
    old.append(first)
    young = opened(tmp_path)
    assert young.holds(STUDY)
    assert not young.holds(OTHER)
    assert not young.holds("")

    young.append(second)
    assert committed(young) == []
    assert committed(old) == [first.digest]
    assert not young.holds(OTHER)
    young.look()
    assert committed(young) == [second.digest]
    assert not young.holds(STUDY)
    young.close()
    old.close()


def test_it_is_known_at_once_what_an_elder_took_since(tmp_path: Path) -> None:
    old = opened(tmp_path)
    young = opened(tmp_path)
    assert not young.holds(STUDY)
    old.append(incoming(b"first"))
    assert young.holds(STUDY)
    old.append(incoming(b"other", study=OTHER))
    assert young.holds(OTHER)
    committed(old)
    assert not young.holds(STUDY)
    assert not young.holds(OTHER)
    young.close()
    old.close()


def test_an_elder_waits_for_nobody_younger(tmp_path: Path) -> None:
    old = opened(tmp_path)
    young = opened(tmp_path)
    first, second = incoming(b"first"), incoming(b"second")
    young.append(first)
    old.append(second)
    assert committed(old) == [second.digest]
    young.look()
    assert committed(young) == [first.digest]
    young.close()
    old.close()


def test_what_an_elder_leaves_is_taken_over_in_front_of_what_came_later(tmp_path: Path) -> None:
    old = opened(tmp_path, segment_bytes=1 << 16)
    files = [incoming(bytes([number]) * 40_000) for number in range(4)]
    for file in files[:3]:
        old.append(file)
    young = opened(tmp_path)
    young.append(files[3])
    assert committed(young) == []
    old.close()
    # Nobody drains it now, and the younger one still knows of it.
    assert young.holds(STUDY)
    assert committed(young) == []
    young.look()
    assert committed(young) == [file.digest for file in files]
    young.look()
    young.close()
    assert places.owned_folders(tmp_path) == []


def test_what_is_in_hand_when_an_elders_is_taken_over_stays_first(tmp_path: Path) -> None:
    old = opened(tmp_path)
    young = opened(tmp_path)
    mine, later, elders = incoming(b"mine"), incoming(b"later"), incoming(b"elders")
    young.append(mine)
    young.append(later)
    entry = young.waiting.take(0.0)
    assert entry is not None
    old.append(elders)
    old.close()
    young.look()
    young.settled(entry)
    assert [one.found.head.digest for one in taken(young)] == [elders.digest, later.digest]
    young.close()


def test_what_is_in_hand_and_not_begun_when_an_elders_is_taken_over_comes_behind_it(tmp_path: Path) -> None:
    """A thread of the drain may be anywhere between an entry and its first write when an elder ends."""
    old = opened(tmp_path)
    young = opened(tmp_path)
    mine, elders = incoming(b"mine"), incoming(b"elders")
    young.append(mine)
    old.append(elders)
    entry = young.waiting.take(0.0)
    assert entry is not None
    old.close()
    young.look()
    assert young.wait_for_elders(entry)
    assert committed(young) == [elders.digest, mine.digest]
    young.close()


def test_what_waits_for_an_elder_that_ends_meanwhile_comes_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = opened(tmp_path)
    young = opened(tmp_path)
    mine, elders = incoming(b"mine"), incoming(b"elders")
    young.append(mine)
    old.append(elders)
    entry = young.waiting.take(0.0)
    assert entry is not None
    hold = young.waiting.hold

    def after_the_end(held: Entry) -> None:
        old.close()
        young.look()
        hold(held)

    monkeypatch.setattr(young.waiting, "hold", after_the_end)
    assert young.wait_for_elders(entry)
    young.look()
    assert committed(young) == [elders.digest, mine.digest]
    young.close()


def test_an_elders_folder_that_could_not_be_looked_at_is_taken_over_by_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = opened(tmp_path)
    young = opened(tmp_path)
    first = incoming(b"first")
    old.append(first)
    old.close()
    with monkeypatch.context() as patched:
        patched.setattr(places, "segments", too_many_files)
        young.look()
    young.look()
    assert committed(young) == [first.digest]
    young.close()


def too_many_files(folder: Path) -> list[Path]:
    raise OSError(errno.EMFILE, "too many open files")


def test_names_of_folders_are_in_the_order_of_processes_whatever_the_clock_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(tmp_path)
    monkeypatch.setattr(time, "time_ns", lambda: 7)
    second, third = opened(tmp_path), opened(tmp_path)
    assert len(places.owned_folders(tmp_path)) == 3
    third.append(incoming(b"third"))
    assert not second.holds(STUDY)
    second.append(incoming(b"second", study=OTHER))
    assert third.holds(OTHER)
    assert not first.holds(OTHER)
    for spool in (third, second, first):
        taken(spool)
        spool.close()
