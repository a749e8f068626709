"""Many write into one segment: what is called durable was synced, by few calls, and never by one that failed."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from producers.dicom_router.spool.record import SEGMENT_HEAD_BYTES
from producers.dicom_router.spool.segment import Segment, SegmentFailed
from tests.waiting import wait_until

WAIT_S = 60.0


class Disk:
    """Counts syncs; holds them while `gate` is closed, and fails them while `fails`."""

    def __init__(self) -> None:
        self.syncs = 0
        self.fails = False
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        self.gate.set()

    def fdatasync(self, descriptor: int) -> None:
        self.syncs += 1
        self.entered.release()
        self.gate.wait()
        if self.fails:
            raise OSError(5, "Input/output error")
        os.fdatasync(descriptor)


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
def segment(tmp_path: Path, disk: Disk) -> Segment:
    return Segment(tmp_path / "00000001.segment", disk.fdatasync)


def test_files_are_readable_by_their_owner_alone(segment: Segment) -> None:
    assert segment.path.stat().st_mode & 0o777 == 0o600


def test_one_sync_serves_all_that_came_while_another_was_under_way(segment: Segment, disk: Disk) -> None:
    appended = threading.Barrier(17)

    def put(number: int) -> None:
        with lock:
            end = segment.append((b"%08d" % number,)) + 8
        appended.wait()
        segment.durable(end)

    lock = threading.Lock()
    disk.gate.clear()
    with ThreadPoolExecutor(17) as pool:
        first = pool.submit(segment.durable, segment.append((b"first",)) + 5)
        disk.entered.acquire()
        others = [pool.submit(put, number) for number in range(16)]
        appended.wait()
        disk.gate.set()
        for future in (first, *others):
            future.result()
    assert disk.syncs == 2


def test_what_is_appended_during_a_sync_is_not_durable_by_it(segment: Segment, disk: Disk) -> None:
    disk.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(segment.durable, segment.append((b"first",)) + 5)
        disk.entered.acquire()
        second = pool.submit(segment.durable, segment.append((b"second",)) + 6)
        disk.gate.set()
        first.result()
        second.result()
    assert disk.syncs == 2


def test_a_sync_that_failed_is_never_asked_again_and_nobody_who_waited_is_told_yes(
    segment: Segment, disk: Disk
) -> None:
    kept = segment.append((b"kept",)) + 4
    segment.durable(kept)
    disk.fails = True
    disk.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(segment.durable, segment.append((b"lost",)) + 4)
        disk.entered.acquire()
        second = pool.submit(segment.durable, segment.append((b"lost too",)) + 8)
        disk.gate.set()
        for future in (first, second):
            with pytest.raises(SegmentFailed):
                future.result()
    disk.fails = False
    with pytest.raises(SegmentFailed):
        segment.append((b"more",))
    segment.durable(kept)
    assert disk.syncs == 2
    assert segment.path.read_bytes()[SEGMENT_HEAD_BYTES:] == b"kept"


def test_a_disk_that_is_full_leaves_nothing_of_a_record_and_what_came_before_becomes_durable(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = segment.append((b"whole",)) + 5
    written = os.writev

    def half(descriptor: int, parts: list[memoryview]) -> int:
        monkeypatch.setattr(os, "writev", full)
        return written(descriptor, [parts[0][:3]])

    def full(descriptor: int, parts: list[memoryview]) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "writev", half)
    with pytest.raises(SegmentFailed):
        segment.append((b"does not fit",))
    segment.durable(end)
    assert segment.path.read_bytes()[SEGMENT_HEAD_BYTES:] == b"whole"


def test_a_closed_segment_takes_no_more(segment: Segment) -> None:
    segment.append((b"whole",))
    segment.close()
    with pytest.raises(SegmentFailed):
        segment.append((b"late",))


class Writes:
    """Stands for `os.writev`: once `stop` was said, the next one waits in the middle until `go_on`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._writev, self._stops = os.writev, False
        self.entered, self._gate = threading.Semaphore(0), threading.Event()
        monkeypatch.setattr(os, "writev", self)

    def __call__(self, descriptor: int, parts: list[memoryview]) -> int:
        if self._stops:
            self._stops = False
            self.entered.release()
            assert self._gate.wait(WAIT_S)
        return self._writev(descriptor, parts)

    def stop(self) -> None:
        self._stops = True

    def go_on(self) -> None:
        self._gate.set()


def test_who_asks_for_durability_does_not_wait_for_who_writes_the_next_one(
    segment: Segment, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes = Writes(monkeypatch)
    first = segment.append((b"first",)) + 5
    writes.stop()
    with ThreadPoolExecutor(2) as pool:
        second = pool.submit(segment.append, (b"second",))
        assert writes.entered.acquire(timeout=WAIT_S)
        try:
            pool.submit(segment.durable, first).result(WAIT_S)
        finally:
            writes.go_on()
        segment.durable(second.result() + 6)
    # What was half written at the first is durable by the second.
    assert disk.syncs == 2
    assert segment.path.read_bytes()[SEGMENT_HEAD_BYTES:] == b"firstsecond"


def test_a_sync_that_fails_while_another_writes_lets_go_of_the_file_when_that_is_done_and_tells_it(
    segment: Segment, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = segment.append((b"kept",)) + 4
    segment.durable(kept)
    writes = Writes(monkeypatch)
    lost = segment.append((b"lost",)) + 4
    disk.fails = True
    writes.stop()

    def put() -> None:
        # The sync may not have failed yet when the write is over.
        segment.durable(segment.append((b"during",)) + 6)

    with ThreadPoolExecutor(2) as pool:
        during = pool.submit(put)
        assert writes.entered.acquire(timeout=WAIT_S)
        failing = pool.submit(segment.durable, lost)
        wait_until(lambda: disk.syncs == 2, "the sync that fails")
        writes.go_on()
        for future in (during, failing):
            with pytest.raises(SegmentFailed):
                future.result(WAIT_S)
    segment.durable(kept)
    assert segment.path.read_bytes()[SEGMENT_HEAD_BYTES:] == b"kept"


def test_a_segment_that_cannot_begin_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*_: object) -> int:
        raise MemoryError

    monkeypatch.setattr(os, "writev", no_memory)
    with pytest.raises(MemoryError):
        Segment(tmp_path / "00000001.segment")
    assert list(tmp_path.iterdir()) == []


def test_what_is_half_written_when_memory_ends_is_cut_off_and_nothing_comes_behind_it(
    segment: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the next one began would be another place than it is said to be at."""
    writev = os.writev

    def half(descriptor: int, parts: list[memoryview]) -> int:
        writev(descriptor, [parts[0][:2]])
        raise MemoryError

    first = segment.append((b"first",)) + 5
    with monkeypatch.context() as patched:
        patched.setattr(os, "writev", half)
        with pytest.raises(SegmentFailed):
            segment.append((b"second",))
    with pytest.raises(SegmentFailed):
        segment.append((b"third",))
    segment.durable(first)
    assert segment.path.read_bytes()[SEGMENT_HEAD_BYTES:] == b"first"
