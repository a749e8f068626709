"""The doctor looks at the spool: its mode, its disk, its room, and what stands aside."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from producers.dicom_router.spool import aside
from producers.dicom_router.spool.config import Settings
from producers.dicom_router.spool.reading import read
from radstream.checks.spool import check
from tests.spools import incoming, opened, unreadable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def states(folder: Path | None, **settings: int) -> dict[str, str]:
    chosen = {"budget_bytes": 1 << 20, "free_bytes_min": 0, **settings}
    return {one.name: one.state for one in check(Settings(folder=folder, **chosen))}


def test_a_spool_that_is_well(folder: Path) -> None:
    opened(folder)
    assert states(folder) == {"folder": "well", "disk": "well", "room": "well", "instances": "well"}


def test_a_site_without_a_spool_is_told_what_that_means() -> None:
    assert states(None) == {"folder": "note"}


def test_a_folder_that_is_not_there(folder: Path) -> None:
    assert states(folder) == {"folder": "broken"}


def test_a_folder_that_others_may_read(folder: Path) -> None:
    opened(folder)
    folder.chmod(0o755)
    assert states(folder)["folder"] == "broken"


def test_a_disk_that_does_not_keep_what_is_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(folder)

    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    assert states(folder)["disk"] == "broken"


def test_a_spool_without_room(folder: Path) -> None:
    spool = opened(folder)
    spool.append(incoming(bytes((1 << 20) + 1)))
    assert states(folder)["room"] == "broken"
    assert states(folder, budget_bytes=1 << 60)["room"] == "note"


def test_what_waits_and_what_stands_aside(folder: Path) -> None:
    spool = opened(folder)
    spool.append(incoming(b"an image"))
    assert states(folder)["instances"] == "note"
    entry = spool.waiting.take(0.0)
    assert entry is not None
    aside.set_record_aside(folder, entry.found, *read(entry.shelf.path, entry.found), "the log refused its event")
    spool.settled(entry)
    assert states(folder)["aside"] == "broken"


def test_a_segment_that_cannot_be_read(folder: Path) -> None:
    opened(folder).append(incoming(b"an image"))
    with unreadable(OSError(errno.EIO, "Input/output error")):
        found = states(folder)
    assert found == {"folder": "well", "disk": "well", "room": "well", "segments": "broken"}


def test_a_folder_that_the_disk_does_not_give_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(folder)

    def gone(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "scandir", gone)
    assert states(folder)["folder"] == "broken"
