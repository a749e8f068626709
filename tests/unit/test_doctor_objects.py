"""The doctor looks at where large objects go that come in: on a disk, which a file system in memory is none."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from radstream.checks import large_objects
from radstream.checks.large_objects import check

# Linux has one there always (POSIX shared memory).
IN_MEMORY = Path("/dev/shm")  # noqa: S108


def states(folder: Path | None) -> list[tuple[str, str]]:
    return [(one.name, one.state) for one in check(folder)]


def test_a_folder_on_a_disk_is_well() -> None:
    assert states(Path(__file__).parent) == [("large objects", "well")]


def test_a_folder_in_memory_is_noted_also_before_the_router_made_it() -> None:
    for folder in (IN_MEMORY, IN_MEMORY / "not" / "there"):
        (one,) = check(folder)
        assert one.state == "note"
        assert "objects_folder" in one.mend


def test_where_nothing_is_set_it_is_the_systems_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(IN_MEMORY))
    assert states(None) == [("large objects", "note")]


@pytest.fixture
def of_somebody_else(tmp_path: Path) -> Iterator[Path]:
    """A folder that this user may not enter. Root may enter all, and is somebody else meanwhile."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield folder
    if user == 0:
        os.seteuid(user)


def test_a_folder_that_is_not_this_users_to_look_at_is_noted(of_somebody_else: Path) -> None:
    (one,) = check(of_somebody_else / "objects")
    assert one.state == "note"
    assert "router's user" in one.mend


def test_a_system_that_does_not_say_what_is_mounted_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_objects, "_MOUNTS", Path("/proc/self/no such file"))
    assert states(Path(__file__).parent) == [("large objects", "note")]
