"""A large object on the spool: nobody waits for it, and it is there as a whole or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from producers.dicom_router.spool import alone, aside, places
from producers.dicom_router.spool.census import census
from producers.dicom_router.spool.incoming import NotSpooled
from producers.dicom_router.spool.spool import Spool
from tests.spools import FILE_HEAD, drained, incoming, opened, segments, taken
from tests.waiting import wait_until

LARGE = bytes(range(256)) * (40 << 12)
SMALL = b"an image" * 1000
SEGMENT_BYTES = 1 << 20
DEADLINE_S = 30.0


class HangingDisk:
    """Does not answer who syncs a file of `from_bytes` or more before `gate` is open; `entered` is somebody asking."""

    def __init__(self, from_bytes: int) -> None:
        self.from_bytes = from_bytes
        self.fails = False
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()

    def fdatasync(self, descriptor: int) -> None:
        if os.fstat(descriptor).st_size >= self.from_bytes:
            self.entered.release()
            self.gate.wait()
            if self.fails:
                raise OSError(5, "Input/output error")
        os.fdatasync(descriptor)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.fixture
def disk() -> Iterator[HangingDisk]:
    made = HangingDisk(8 << 20)
    yield made
    made.gate.set()


@pytest.fixture
def spool(threads: ThreadPoolExecutor, disk: HangingDisk, folder: Path) -> Spool:
    return opened(folder, budget_bytes=100 << 20, segment_bytes=SEGMENT_BYTES, fdatasync=disk.fdatasync)


def under_way(spool: Spool, disk: HangingDisk, threads: ThreadPoolExecutor) -> Future[None]:
    """A large object that is on its way to the disk, and gets no further."""
    large = threads.submit(spool.append, incoming(LARGE, "1.2.1"))
    assert disk.entered.acquire(timeout=DEADLINE_S)
    return large


def test_small_images_are_acknowledged_while_a_large_object_is_written(
    spool: Spool, disk: HangingDisk, threads: ThreadPoolExecutor, folder: Path
) -> None:
    large = under_way(spool, disk, threads)
    for study in ("1.2.2", "1.2.3", "1.2.1"):
        threads.submit(spool.append, incoming(SMALL + study.encode(), study)).result(DEADLINE_S)
    assert not large.done()
    assert spool.waiting.count == 3
    disk.gate.set()
    large.result(DEADLINE_S)
    spool.close()

    after = opened(folder)
    assert set(map(bytes, drained(after))) == {LARGE, *(SMALL + study for study in (b"1.2.1", b"1.2.2", b"1.2.3"))}
    after.close()


def test_senders_go_on_while_a_segment_that_is_full_is_synced(threads: ThreadPoolExecutor, folder: Path) -> None:
    disk = HangingDisk(SEGMENT_BYTES // 2)
    spool = opened(folder, segment_bytes=SEGMENT_BYTES, fdatasync=disk.fdatasync)
    try:
        last = threads.submit(spool.append, incoming(b"1" * (SEGMENT_BYTES * 3 // 4)))
        assert disk.entered.acquire(timeout=DEADLINE_S)
        seals = threads.submit(spool.append, incoming(b"2" * (SEGMENT_BYTES // 3)))
        wait_until(lambda: len(segments(folder)) == 2, "a second segment")
        others = [threads.submit(spool.append, incoming(SMALL + b"%d" % number)) for number in range(3)]
        # One of the four comes by first and closes what is full: it waits for the disk, and the others do not.
        appended = [seals, *others]
        wait_until(lambda: sum(map(Future.done, appended)) == 3, "all but the one that closes")
        assert not last.done()
    finally:
        disk.gate.set()
    for future in (last, *appended):
        future.result(DEADLINE_S)
    assert len(taken(spool)) == 5
    spool.close()


def test_what_was_acknowledged_before_a_large_object_came_is_committed_before_it(
    spool: Spool, disk: HangingDisk, threads: ThreadPoolExecutor
) -> None:
    spool.append(incoming(b"before", "1.2.1"))
    large = under_way(spool, disk, threads)
    disk.gate.set()
    large.result(DEADLINE_S)
    spool.append(incoming(b"after", "1.2.1"))
    assert drained(spool) == [b"before", LARGE, b"after"]
    assert not any(map(places.is_whole, segments(spool.folder)))
    spool.close()


def test_what_is_being_written_counts_as_taken(spool: Spool, disk: HangingDisk, threads: ThreadPoolExecutor) -> None:
    large = under_way(spool, disk, threads)
    with pytest.raises(NotSpooled, match="the spool is full"):
        spool.append(incoming(LARGE + LARGE))
    spool.look()
    with pytest.raises(NotSpooled, match="the spool is full"):
        spool.append(incoming(LARGE + LARGE))
    disk.gate.set()
    large.result(DEADLINE_S)
    spool.look()
    assert len(LARGE) <= spool.used_bytes < len(LARGE) + SEGMENT_BYTES
    spool.close()


def test_a_router_that_stops_gives_up_what_is_not_whole_before_it_lets_its_folder_go(
    spool: Spool, disk: HangingDisk, threads: ThreadPoolExecutor, folder: Path
) -> None:
    too_large = incoming(LARGE + LARGE)

    def stops() -> bool:
        with pytest.raises(NotSpooled) as refused:
            spool.append(too_large)
        return str(refused.value) == "the router stops"

    large = under_way(spool, disk, threads)
    closing = threads.submit(spool.close)
    wait_until(stops, "the spool taking no more")
    other = opened(folder)
    assert len(places.owned_folders(folder)) == 2, "its folder is its own while it writes"
    disk.gate.set()
    closing.result(DEADLINE_S)
    with pytest.raises(NotSpooled, match="the router stops"):
        large.result(DEADLINE_S)
    assert len(places.owned_folders(folder)) == 1
    other.close()


def test_a_disk_that_fails_keeps_nothing_of_it_and_tells_nobody_yes(
    spool: Spool, disk: HangingDisk, threads: ThreadPoolExecutor, folder: Path
) -> None:
    disk.fails = True
    large = under_way(spool, disk, threads)
    disk.gate.set()
    with pytest.raises(NotSpooled, match="disk does not keep"):
        large.result(DEADLINE_S)
    assert list(folder.glob("*/*")) == []
    assert spool.waiting.count == 0
    disk.fails = False
    spool.append(incoming(LARGE))
    assert drained(spool) == [LARGE]
    spool.close()


def test_what_a_killed_process_did_not_finish_is_removed_and_is_no_damage(folder: Path) -> None:
    before = opened(folder)
    before.append(incoming(SMALL))
    (own,) = places.owned_folders(folder)
    unfinished = own / f"00000009.whole{places.UNFINISHED}"
    unfinished.write_bytes(LARGE)
    os.close(before._writing._own.descriptor if before._writing._own else -1)

    after = opened(folder)
    assert not unfinished.exists()
    assert aside.count(folder) == 0
    assert drained(after) == [SMALL]
    after.close()


def whole(folder: Path) -> Path:
    """A large object that a process left, and its segment."""
    spool = opened(folder)
    spool.append(incoming(LARGE))
    spool.close()
    (path,) = segments(folder)
    assert places.is_whole(path)
    return path


def test_its_bytes_are_not_read_to_be_believed(folder: Path) -> None:
    path = whole(folder)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    assert len(census(folder).waiting) == 1
    spool = opened(folder)
    assert [entry.found.head.file for entry in taken(spool)] == [len(FILE_HEAD) + len(LARGE)]
    spool.close()


@pytest.mark.parametrize("left", [0, 20, 80, 1000, len(LARGE)])
def test_what_is_missing_of_it_was_acknowledged_and_is_never_taken_for_a_torn_end(folder: Path, left: int) -> None:
    path = whole(folder)
    os.truncate(path, left)
    spool = opened(folder)
    assert taken(spool) == []
    assert aside.count(folder) == 1
    spool.close()


@pytest.mark.parametrize("torn", [0, 5000])
def test_what_a_version_before_wrote_among_others_is_drained(
    folder: Path, torn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alone, "ALONE_BYTES", 1 << 40)
    before = opened(folder, segment_bytes=3 * len(LARGE))
    sent = [SMALL, LARGE, SMALL + b"more", LARGE[:-1]]
    for data_set in sent:
        before.append(incoming(data_set))
    before.close()
    (path,) = segments(folder)
    assert not places.is_whole(path)
    os.truncate(path, path.stat().st_size - torn)

    after = opened(folder)
    assert drained(after) == (sent[:-1] if torn else sent)
    assert aside.count(folder) == 0
    after.close()


def test_another_process_waits_for_it_from_when_it_is_acknowledged(
    spool: Spool, disk: HangingDisk, threads: ThreadPoolExecutor, folder: Path
) -> None:
    other = opened(folder)
    large = under_way(spool, disk, threads)
    assert not other.holds("1.2.1"), "nobody was told yet that it is kept"
    disk.gate.set()
    large.result(DEADLINE_S)
    assert other.holds("1.2.1")
    other.append(incoming(SMALL, "1.2.1"))
    entry = other.waiting.take(0.0)
    assert entry is not None
    assert other.wait_for_others(entry)
    assert drained(spool) == [LARGE]
    again = other.waiting.take(DEADLINE_S)
    assert again is entry
    assert not other.wait_for_others(again)
    spool.close()
    other.close()
