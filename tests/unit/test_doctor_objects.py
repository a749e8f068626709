"""The doctor looks at where large objects go that come in or are read: a file system in memory is no disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from radstream.checks import large_objects
from radstream.checks.large_objects import check_coming_in, check_read

# Linux has one there always (POSIX shared memory).
IN_MEMORY = Path("/dev/shm")  # noqa: S108


def states(folder: Path | None) -> list[tuple[str, str]]:
    return [(one.name, one.state) for one in check_coming_in(folder)]


def test_a_folder_on_a_disk_is_well() -> None:
    assert states(Path(__file__).parent) == [("large objects", "well")]


def test_a_folder_in_memory_is_noted_also_before_the_router_made_it() -> None:
    for folder in (IN_MEMORY, IN_MEMORY / "not" / "there"):
        (one,) = check_coming_in(folder)
        assert one.state == "note"
        assert "objects_folder" in one.mend


def test_where_nothing_is_set_it_is_the_systems_folder_for_temporary_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(IN_MEMORY))
    assert states(None) == [("large objects", "note")]


def test_what_services_read_is_looked_at_too_and_named_by_its_own_setting() -> None:
    (one,) = check_read(IN_MEMORY / "large")
    assert (one.part, one.state) == ("store", "note")
    assert "[store] objects_folder" in one.mend
    (one,) = check_read(Path(__file__).parent)
    assert one.state == "well"


def test_what_services_read_is_where_the_system_has_large_files_by_default() -> None:
    (one,) = check_read(None)
    assert "/var/tmp" in one.found  # noqa: S108


@pytest.fixture
def somebody_else() -> Iterator[None]:
    """Root may enter all, and write to all, and is somebody else meanwhile."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    if user == 0:
        os.seteuid(user)


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    """A folder that this user may not enter."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0)
    return folder


@pytest.mark.usefixtures("hidden", "somebody_else")
def test_a_folder_that_is_not_this_users_to_look_at_is_noted(hidden: Path) -> None:
    (one,) = check_coming_in(hidden / "objects")
    assert one.state == "note"
    assert "router's user" in one.mend


@pytest.mark.usefixtures("somebody_else")
@pytest.mark.parametrize("folder", ["/usr", "/usr/not/there"])
def test_a_folder_that_this_user_may_not_write_to_is_noted(folder: str) -> None:
    (one,) = check_read(Path(folder))
    assert (one.part, one.state) == ("store", "note")
    assert "may not write" in one.found
    assert "services' user" in one.mend


def test_a_disk_without_room_for_one_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(__file__).parent
    monkeypatch.setattr(large_objects, "_READ", replace(large_objects._READ, free=1 << 60))
    (one,) = check_read(folder)
    assert one.state == "note"
    assert "MiB are free" in one.found
    assert "Make room" in one.mend


def test_a_system_that_does_not_say_what_is_mounted_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_objects, "_MOUNTS", Path("/proc/self/no such file"))
    assert states(Path(__file__).parent) == [("large objects", "note")]
