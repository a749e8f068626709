"""A spool whose process was killed while the disk was full: it is opened there, drained, and takes images again."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from producers.dicom_router.spool import aside, ballast, places
from producers.dicom_router.spool.census import census
from producers.dicom_router.spool.incoming import NotSpooled
from producers.dicom_router.spool.room import Limits
from producers.dicom_router.spool.spool import Spool
from producers.dicom_router.spool.ticks import NAME
from tests.power import PowerDisk, mounted
from tests.spools import drained, incoming, opened, segments
from tests.waiting import wait_until

SENT = [bytes([number]) * (1 << 20) for number in range(4)]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[PowerDisk]:
    with mounted(tmp_path, 48 << 20) as made:
        yield made
        wait_until(made.is_pulled_out, "the last file on it to be closed")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def killed_with_four_images(folder: Path) -> None:
    """Locks go, nothing is closed."""
    spool = opened(folder, segment_bytes=2 << 20)
    spool.look()
    for data_set in SENT:
        spool.append(incoming(data_set))
    active, own = spool._writing._active, spool._writing._own
    assert active is not None
    assert own is not None
    active.segment._let_go()
    os.close(own.descriptor)


@pytest.mark.parametrize("fill", [PowerDisk.fill, PowerDisk.fill_inodes], ids=["blocks", "inodes"])
def test_it_is_opened_on_a_full_disk_and_drained_and_takes_images_again(
    disk: PowerDisk, fill: Callable[[PowerDisk], Path]
) -> None:
    folder = disk.path / "spool"
    killed_with_four_images(folder)
    fill(disk)

    spool = opened(folder)
    with pytest.raises(NotSpooled, match=r"free|full"):
        spool.append(incoming(b"x" * 400_000))
    assert spool.look() is not None
    assert drained(spool) == SENT
    spool.look()
    assert spool.look() is None
    assert ballast.missing_bytes(folder) == 0
    spool.append(incoming(b"an image"))
    assert drained(spool) == [b"an image"]
    spool.close()


def test_it_is_opened_again_where_it_is_killed_once_more_before_there_is_room(disk: PowerDisk) -> None:
    folder = disk.path / "spool"
    killed_with_four_images(folder)
    disk.fill()
    for _ in range(3):
        spool = opened(folder)
        # Whoever is refused leaves that room to the next start.
        with pytest.raises(NotSpooled, match="free"):
            spool.append(incoming(b"x" * 900_000))
        spool.close()
    spool = opened(folder)
    assert drained(spool) == SENT
    spool.close()


def test_a_process_starts_too_where_another_has_just_given_the_ballast_up(
    disk: PowerDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = disk.path / "spool"
    killed_with_four_images(folder)
    disk.fill()
    late, others = Spool(folder, Limits(1 << 30, 0), 1 << 20), list[Spool]()
    own = late._writing.own

    def own_after_another() -> Path:
        try:
            return own()
        except OSError:
            others.append(opened(folder))
            raise

    monkeypatch.setattr(late._writing, "own", own_after_another)
    late.open()
    (first,) = others
    assert drained(first) == SENT
    late.close()
    first.close()


def test_without_a_ballast_a_full_disk_is_no_other_failure(disk: PowerDisk) -> None:
    folder = disk.path / "spool"
    killed_with_four_images(folder)
    (folder / places.BALLAST).unlink()
    disk.fill()
    with pytest.raises(OSError, match="No space left") as failure:
        opened(folder)
    assert failure.value.errno == errno.ENOSPC
    assert len(census(folder).waiting) == 4


def test_another_failure_is_told_and_the_ballast_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_with_four_images(folder)

    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fails)
        with pytest.raises(OSError, match="Input/output error"):
            opened(folder)
    assert ballast.missing_bytes(folder) == 0


def test_nobody_takes_it_for_images(folder: Path) -> None:
    spool = opened(folder, budget_bytes=1 << 20)
    spool.look()
    assert (folder / places.BALLAST).stat().st_blocks * 512 >= ballast.BYTES
    assert max(spool.used_bytes, census(folder).disk_bytes) == (folder / NAME).stat().st_size
    assert aside.count(folder) == 0
    spool.append(incoming(b"x" * 1_000_000))
    spool.look()
    assert (len(segments(folder)), len(census(folder).waiting)) == (1, 1)
    spool.close()
    assert drained(opened(folder)) == [b"x" * 1_000_000]


def test_it_is_not_made_of_what_others_need(folder: Path) -> None:
    free = shutil.disk_usage(folder.parent).free
    opened(folder, free_bytes_min=2 * free).look()
    assert not (folder / places.BALLAST).exists()


def test_what_a_process_that_was_killed_made_half_of_is_made_whole(folder: Path) -> None:
    spool = opened(folder)
    (folder / places.BALLAST).write_bytes(b"half")
    assert ballast.missing_bytes(folder) == ballast.BYTES - 4
    spool.look()
    assert ballast.missing_bytes(folder) == 0


def test_many_make_and_remove_it_at_once_and_it_is_there_after(folder: Path) -> None:
    opened(folder)
    with ThreadPoolExecutor(8) as pool:
        made = [pool.submit(ballast.keep, folder, 0) for _ in range(40)]
        removed = [pool.submit(ballast.release, folder) for _ in range(10)]
        for future in (*made, *removed):
            future.result()
    ballast.keep(folder, 0)
    assert (folder / places.BALLAST).stat().st_size == ballast.BYTES
