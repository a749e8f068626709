"""What others see of a spool: as many as wait, whether its router runs or not."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from producers.dicom_router.spool import aside
from producers.dicom_router.spool.census import census
from producers.dicom_router.spool.reading import read
from tests.spools import incoming, opened, segments, unlistable, unreadable


def test_it_counts_what_waits_and_not_what_is_committed(tmp_path: Path) -> None:
    spool = opened(tmp_path / "spool")
    sent = [incoming(b"%d" % number, f"1.2.{number}", 1_767_600_000_000 + number) for number in range(3)]
    for one in sent:
        spool.append(one)
    entry = spool.waiting.take(0.0)
    assert entry is not None
    spool.settled(entry)

    found = census(tmp_path / "spool")
    assert found.waiting == {one.digest.hex() for one in sent[1:]}
    assert found.oldest is not None
    assert round(found.oldest.timestamp() * 1000) == 1_767_600_000_001
    assert 0 < found.bytes < found.disk_bytes
    assert spool.waiting.bytes == found.bytes


def test_what_stands_aside_is_counted(tmp_path: Path) -> None:
    spool = opened(tmp_path / "spool")
    spool.append(incoming(b"an image"))
    entry = spool.waiting.take(0.0)
    assert entry is not None
    aside.set_record_aside(spool.folder, entry.found, *read(entry.shelf.path, entry.found), "the log refused its event")
    spool.settled(entry)
    spool.close()

    found = census(tmp_path / "spool")
    assert (len(found.waiting), found.aside, found.damaged) == (1, 1, 0)


def test_looking_changes_nothing_while_a_record_is_being_written(tmp_path: Path) -> None:
    spool = opened(tmp_path / "spool")
    spool.append(incoming(b"an image"))
    (path,) = (tmp_path / "spool").glob("*/*.segment")
    with path.open("ab") as file:
        file.write(b"RSIN")
    assert len(census(tmp_path / "spool").waiting) == 1
    assert path.read_bytes().endswith(b"RSIN")


def test_a_segment_that_cannot_be_read_is_counted_and_the_others_are_too(tmp_path: Path) -> None:
    spool = opened(tmp_path, segment_bytes=1 << 16)
    sent = [incoming(bytes([number]) * 60_000) for number in range(2)]
    for one in sent:
        spool.append(one)
    bad, _ = segments(tmp_path)
    with unreadable(OSError(errno.EIO, "Input/output error"), bad):
        found = census(tmp_path)
    assert (found.unreadable, found.waiting) == (1, {sent[1].digest.hex()})
    assert census(tmp_path).unreadable == 0


def test_a_folder_that_cannot_be_listed_is_counted_and_the_others_are_too(tmp_path: Path) -> None:
    opened(tmp_path).append(incoming(b"of one"))
    (bad,) = segments(tmp_path)
    sent = incoming(b"of another")
    opened(tmp_path).append(sent)
    with unlistable(bad.parent):
        found = census(tmp_path)
    assert (found.unreadable, found.waiting) == (1, {sent.digest.hex()})
    assert found.disk_bytes > 0


def test_what_is_not_this_users_to_read_is_not_counted_as_broken(tmp_path: Path) -> None:
    opened(tmp_path).append(incoming(b"an image"))
    with unreadable(PermissionError(errno.EACCES, "Permission denied")), pytest.raises(PermissionError):
        census(tmp_path)


def test_an_empty_spool_has_nothing(tmp_path: Path) -> None:
    opened(tmp_path / "spool")
    assert census(tmp_path / "spool").waiting == set()
