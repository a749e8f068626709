"""What keeps a segment, while the disk is slow to take notes of what is committed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from producers.dicom_router.spool import progress
from producers.dicom_router.spool.shelf import Shelf

CHECK = bytes(32)


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    path = tmp_path / "00000001.segment"
    path.write_bytes(b"records")
    return path


def test_who_appends_does_not_wait_for_a_note(segment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(segment, waiting=1)
    went_on: list[bool] = []
    really = progress.mark

    def mark(path: Path, check: bytes) -> None:
        appending = threading.Thread(target=shelf.add, daemon=True)
        appending.start()
        appending.join(30.0)
        went_on.append(not appending.is_alive())
        really(path, check)

    monkeypatch.setattr(progress, "mark", mark)
    assert shelf.committed(CHECK)
    assert went_on == [True]
    assert progress.marked(segment) == [CHECK]


def test_what_is_noted_while_the_segment_goes_is_not_left_behind(
    segment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf = Shelf(segment, waiting=1)
    really = progress.mark

    def full(path: Path, check: bytes) -> None:
        raise OSError(28, "No space left on device")

    def mark(path: Path, check: bytes) -> None:
        shelf.seal()
        really(path, check)

    monkeypatch.setattr(progress, "mark", full)
    assert not shelf.committed(CHECK)
    shelf.drop()
    monkeypatch.setattr(progress, "mark", mark)
    assert shelf.note()
    assert list(segment.parent.iterdir()) == []
