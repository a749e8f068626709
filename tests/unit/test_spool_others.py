"""Two routers on one spool's folder: a study's order holds across both, and nothing is left."""

from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest

from producers.dicom_router.spool import places, progress, ticks
from producers.dicom_router.spool.incoming import NotSpooled
from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.spool import Spool
from producers.dicom_router.spool.ticks import Ticks
from tests.spools import incoming, opened
from tests.waiting import wait_until

STUDY, OTHER = "1.2.3", "1.2.4"
PATIENCE_S = 5.0


def committed(spool: Spool) -> list[bytes]:
    """What the spool's drain would commit now, in order; it is settled. What waits for another process is left."""
    found, left = [], spool.waiting.count
    while left and (entry := spool.waiting.take(PATIENCE_S)) is not None:
        left -= 1
        if not spool.wait_for_others(entry):
            found.append(entry.found.head.digest)
            spool.settled(entry)
    return found


def test_what_another_acknowledged_before_is_not_overtaken(tmp_path: Path) -> None:
    one, first, second = opened(tmp_path), incoming(b"first"), incoming(b"second")
    one.append(first)
    two = opened(tmp_path)
    assert two.holds(STUDY)
    assert not two.holds(OTHER)
    assert not two.holds("")

    two.append(second)
    assert committed(two) == []
    assert committed(one) == [first.digest]
    assert not two.holds(OTHER)
    assert committed(two) == [second.digest]
    assert not two.holds(STUDY)
    two.close()
    one.close()


def test_it_is_known_at_once_what_another_took_since(tmp_path: Path) -> None:
    one = opened(tmp_path)
    two = opened(tmp_path)
    for mine, its in ((one, two), (two, one)):
        assert not mine.holds(STUDY)
        its.append(incoming(b"first"))
        assert mine.holds(STUDY)
        its.append(incoming(b"other", study=OTHER))
        assert mine.holds(OTHER)
        committed(its)
        assert not mine.holds(STUDY)
        assert not mine.holds(OTHER)
    two.close()
    one.close()


def test_a_study_whose_images_come_to_two_by_turns_is_committed_in_the_order_of_acknowledgement(tmp_path: Path) -> None:
    both = opened(tmp_path, segment_bytes=1 << 16), opened(tmp_path, segment_bytes=1 << 16)
    files = [incoming(bytes([number]) * 30_000) for number in range(9)]
    for number, file in enumerate(files):
        both[number % 2].append(file)
    order: list[bytes] = []
    for number in range(len(files)):
        assert committed(both[(number + 1) % 2]) == []
        order += committed(both[number % 2])
    assert order == [file.digest for file in files]
    for spool in both:
        assert committed(spool) == []
        spool.close()
    assert places.owned_folders(tmp_path) == []


def test_what_one_leaves_is_taken_over_where_it_belongs(tmp_path: Path) -> None:
    one = opened(tmp_path, segment_bytes=1 << 16)
    two = opened(tmp_path)
    files = [incoming(bytes([number]) * 40_000) for number in range(5)]
    for number, file in enumerate(files):
        (two if number in (1, 4) else one).append(file)
    one.close()
    # Nobody drains it now, and the other still knows of it.
    assert two.holds(STUDY)
    assert committed(two) == []
    two.look()
    assert committed(two) == [file.digest for file in files]
    two.look()
    two.close()
    assert places.owned_folders(tmp_path) == []


def test_what_is_in_hand_and_not_begun_when_something_earlier_is_taken_over_comes_behind_it(tmp_path: Path) -> None:
    """A thread of the drain may be anywhere between an entry and its first write when another process ends."""
    one = opened(tmp_path)
    two = opened(tmp_path)
    mine, earlier = incoming(b"mine"), incoming(b"earlier")
    one.append(earlier)
    two.append(mine)
    entry = two.waiting.take(0.0)
    assert entry is not None
    one.close()
    two.look()
    assert two.wait_for_others(entry)
    assert committed(two) == [earlier.digest, mine.digest]
    two.close()


def test_what_waits_for_another_that_ends_meanwhile_comes_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened(tmp_path)
    two = opened(tmp_path)
    mine, earlier = incoming(b"mine"), incoming(b"earlier")
    one.append(earlier)
    two.append(mine)
    entry = two.waiting.take(0.0)
    assert entry is not None
    hold = two.waiting.hold

    def after_the_end(held: Entry) -> None:
        one.close()
        two.look()
        hold(held)

    monkeypatch.setattr(two.waiting, "hold", after_the_end)
    assert two.wait_for_others(entry)
    assert committed(two) == [earlier.digest, mine.digest]
    two.close()


def test_what_a_full_disk_did_not_note_is_noted_later_and_nobody_waits_for_it_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One committed the first, and has the third behind the other's second: each would wait for the other."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "the disk is full")

    one = opened(tmp_path)
    two = opened(tmp_path)
    first, second, third = (incoming(bytes([number])) for number in range(3))
    one.append(first)
    two.append(second)
    one.append(third)
    with monkeypatch.context() as patched:
        patched.setattr(progress, "mark", full)
        assert committed(one) == [first.digest]
        one.look()
    assert committed(two) == []
    one.look()
    assert committed(two) == [second.digest]
    assert committed(one) == [third.digest]
    one.close()
    two.close()
    assert places.owned_folders(tmp_path) == []


def test_what_an_older_version_spooled_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It wrote no ticks."""
    old = opened(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Ticks, "next", lambda _: 0)
        files = [incoming(b"first"), incoming(b"second")]
        for file in files:
            old.append(file)
    new, mine = opened(tmp_path), incoming(b"mine")
    new.append(mine)
    assert committed(new) == []
    old.close()
    new.look()
    assert committed(new) == [*(file.digest for file in files), mine.digest]
    new.close()


def test_what_a_disk_did_not_keep_is_waited_for_by_nobody(tmp_path: Path) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, "the disk")

    one, two = opened(tmp_path, fdatasync=fails), opened(tmp_path)
    with pytest.raises(NotSpooled):
        one.append(incoming(b"first"))
    assert not two.holds(STUDY)
    one.close()
    two.close()


def test_a_folder_that_could_not_be_looked_at_is_taken_over_by_a_later_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = opened(tmp_path)
    two = opened(tmp_path)
    first = incoming(b"first")
    one.append(first)
    one.close()
    with monkeypatch.context() as patched:
        patched.setattr(places, "segments", too_many_files)
        two.look()

    def is_there() -> bool:
        two.look()
        return two.waiting.count > 0

    wait_until(is_there, "the folder to be looked at again")
    assert committed(two) == [first.digest]
    two.close()


def too_many_files(folder: Path) -> list[Path]:
    raise OSError(errno.EMFILE, "too many open files")


def test_ticks_go_on_after_a_boot_whatever_the_clock_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, first, second = opened(tmp_path), incoming(b"first"), incoming(b"second")
    spool.append(first)
    spool.close()
    (tmp_path / ticks.NAME).write_text("another-boot 1\n", encoding="ascii")
    monkeypatch.setattr(time, "time_ns", lambda: 7)
    one, two = opened(tmp_path), opened(tmp_path)
    two.append(second)
    assert committed(two) == []
    assert committed(one) == [first.digest]
    assert committed(two) == [second.digest]
    two.close()
    one.close()


def test_what_is_no_base_of_ticks_is_made_anew(tmp_path: Path) -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    (tmp_path / ticks.NAME).write_text(f"{boot} 12x", encoding="ascii")
    spool = opened(tmp_path)
    assert (tmp_path / ticks.NAME).read_text(encoding="ascii").split()[1].isdigit()
    spool.close()


def test_a_base_is_found_while_a_router_of_before_commits_and_removes_what_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first start of a version with ticks, which takes over from one that drains the spool."""
    old, first, second = opened(tmp_path, segment_bytes=1 << 16), incoming(bytes(70_000)), incoming(b"second")
    old.append(first)
    old.append(second)
    (tmp_path / ticks.NAME).unlink()
    listed = places.segments

    def settled_meanwhile(folder: Path) -> list[Path]:
        found = listed(folder)
        if old.waiting.count > 1:
            entry = old.waiting.take(PATIENCE_S)
            assert entry is not None
            old.settled(entry)
        return found

    monkeypatch.setattr(places, "segments", settled_meanwhile)
    new = opened(tmp_path)
    assert old.waiting.count == 1
    assert new.holds(STUDY)
    old.close()
    new.look()
    assert committed(new) == [second.digest]
    new.close()
