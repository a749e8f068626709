"""Many write into one segment: what is called durable was synced, by few calls, and never by one that failed."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from producers.dicom_router.spool.record import SEGMENT_HEAD_BYTES
from producers.dicom_router.spool.segment import Segment, SegmentFailed


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
