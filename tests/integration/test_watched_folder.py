"""The watched folder: done means acknowledged, failed says why, and nothing is ever deleted."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from producers.dicom_router.arrival import SUCCESS, Arrival
from producers.dicom_router.data_set import Room
from producers.dicom_router.incoming_file import Door, IncomingFile
from producers.dicom_router.object_buffer import Budget, BufferPool
from producers.dicom_router.watch import watching
from producers.dicom_router.watch.config import Settings
from producers.dicom_router.watch.watching import Folder
from streams.config import ConfigError
from streams.sop_classes import MEDIA_DIRECTORY
from streams.stored_file import stored_file
from tests.refusing_stores import RefusingMemoryStore
from tests.routers import CT, EXPLICIT, Ct, Router, running_router
from tests.stow import file_of
from tests.waiting import wait_until

ROOM = Room(1 << 20, BufferPool(Budget(1 << 20)), Budget(8 << 20))
DOOR = Door("folder", "FOLDER", "RADSTREAM", ROOM)


@dataclass
class Watched:
    """A folder and a router; the test says when it is looked at, and how much time has gone by."""

    path: Path
    router: Router
    folder: Folder

    def restart(self) -> None:
        self.folder.close()
        self.folder = Folder(Settings(folder=self.path), DOOR, self.router.receiver.answer, self.router.clock)

    def look(self, after_s: float = 10.0) -> None:
        self.router.clock.ahead_s += after_s
        self.folder.look(threading.Event())

    def put(self, name: str, data: bytes) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def settle(self) -> None:
        """What is there now is seen, and then has not changed for long enough."""
        self.look()
        self.look()

    def names(self, below: str = "") -> set[str]:
        root = self.path / below
        hidden = (path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
        return {str(path.relative_to(root)) for path in hidden}


@contextmanager
def watched(path: Path, store: Callable[[Arrival], int] | None = None) -> Iterator[Watched]:
    with running_router() as router:
        folder = Folder(Settings(folder=path), DOOR, store or router.receiver.answer, router.clock)
        watch = Watched(path, router, folder)
        try:
            yield watch
        finally:
            watch.folder.close()


def test_a_file_that_has_settled_is_stored_and_then_in_done(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        watch.put("study 1/series/image.dcm", file_of())
        watch.settle()
        (event,) = watch.router.received()
        assert watch.router.held.read(event.object) == file_of()
        assert (event.source.protocol, event.source.calling_ae) == ("folder", "FOLDER")
        assert watch.names() == {"done/study 1/series/image.dcm"}
        assert (tmp_path / "done/study 1/series/image.dcm").read_bytes() == file_of()


def test_a_file_that_grows_is_left_alone(tmp_path: Path) -> None:
    file = file_of()
    with watched(tmp_path) as watch:
        for end in range(100, len(file), 100):
            watch.put("image", file[:end])
            watch.look()
        assert watch.router.received() == []
        watch.put("image", file)
        watch.settle()
        assert len(watch.router.received()) == 1
        assert watch.names() == {"done/image"}


def test_a_file_that_changes_while_it_is_read_is_not_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(tmp_path) as watch:
        path, read = watch.put("image", file_of()), watching._read

        def changed(which: Path, incoming: IncomingFile) -> None:
            read(which, incoming)
            with path.open("ab") as file:
                file.write(b"more")

        monkeypatch.setattr(watching, "_read", changed)
        watch.settle()
        assert watch.router.received() == []
        assert watch.names() == {"image"}


@pytest.mark.parametrize("there", [100, 1000], ids=["refused", "acknowledged"])
def test_a_copy_that_goes_on_while_what_was_there_is_stored_is_read_again_as_a_whole(
    tmp_path: Path, there: int
) -> None:
    """Over a network a copy stalls for longer than a file has to settle."""
    file = file_of(Ct(pixels=bytes(2000)))

    def store(arrival: Arrival) -> int:
        status = watch.router.receiver.answer(arrival)
        if path.stat().st_size < len(file):
            path.write_bytes(file)
        return status

    with watched(tmp_path, store) as watch:
        path = watch.put("image", file[:there])
        watch.settle()
        assert watch.names() == {"image"}
        watch.settle()
        assert watch.names() == {"done/image"}
        assert watch.router.held.read(watch.router.received()[-1].object) == file


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (stored_file(MEDIA_DIRECTORY, "1.2.9", EXPLICIT, b""), "0x0122: not an instance of a storage SOP class\n"),
        (b"Dear Doctor, Jane Doe is well", "0xC000: not a DICOM file"),
        (b"", "0xC000: not a DICOM file"),
        (file_of(Ct(pixels=bytes(2 << 20))), "0xA701: the data set is larger than"),
    ],
)
def test_what_is_refused_is_in_failed_with_the_reason_and_nothing_of_its_content(
    tmp_path: Path, data: bytes, reason: str
) -> None:
    with watched(tmp_path) as watch:
        watch.put("a/b", data)
        watch.settle()
        assert watch.names() == {"failed/a/b", "failed/a/b.reason.txt"}
        said = (tmp_path / "failed/a/b.reason.txt").read_text()
        assert said.startswith(reason)
        assert "Doe" not in said
        assert (tmp_path / "failed/a/b").read_bytes() == data
        (audited,) = watch.router.audited()
        assert audited.action == "folder.refused"


def test_what_the_store_refuses_is_in_failed_and_not_tried_for_ever(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        watch.router.held.__class__ = RefusingMemoryStore
        watch.put("image", file_of())
        watch.settle()
        assert watch.names() == {"failed/image", "failed/image.reason.txt"}
        assert (tmp_path / "failed/image.reason.txt").read_text().startswith("0xA702: the object store takes no such")


def test_while_the_log_is_away_files_stay_and_later_they_are_stored(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        watch.put("image", file_of())
        watch.put("letter", b"hello")
        watch.router.log.away = True
        for _ in range(5):
            watch.look(100.0)
        assert watch.names() == {"image", "letter"}
        watch.router.log.away = False
        watch.look(100.0)
        assert watch.names() == {"done/image", "failed/letter", "failed/letter.reason.txt"}


def test_a_crash_between_acknowledgement_and_move_stores_it_again_which_is_harmless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with watched(tmp_path) as watch:
        watch.put("image", file_of())

        class Killed(BaseException):
            pass

        def killed(*_: object) -> None:
            raise Killed

        with monkeypatch.context() as dying:
            dying.setattr("producers.dicom_router.watch.places.Places.done", killed)
            with pytest.raises(Killed):
                watch.settle()
        assert watch.names() == {"image"}
        watch.restart()
        watch.settle()
        first, second = watch.router.received()
        assert first.meta.event_id == second.meta.event_id
        assert len(watch.router.originals()) == 1
        assert watch.names() == {"done/image"}


def test_a_second_file_of_the_same_name_does_not_take_the_place_of_the_first(tmp_path: Path) -> None:
    with watched(tmp_path) as watch:
        for number in range(3):
            watch.put("image.dcm", file_of(Ct(instance=f"1.2.{number}")))
            watch.put("letter.txt", b"hello %d" % number)
            watch.settle()
        assert watch.names("done") == {"image.dcm", "image-2.dcm", "image-3.dcm"}
        assert len({path.read_bytes() for path in (tmp_path / "done").glob("*.dcm")}) == 3
        assert len(watch.names("failed")) == 6


def test_links_pipes_and_hidden_files_are_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(file_of())
    folder = tmp_path / "watched"
    folder.mkdir()
    with watched(folder) as watch:
        (folder / "link").symlink_to(outside)
        (folder / "folder").symlink_to(tmp_path)
        (folder / ".image.dcm.Xa3").write_bytes(file_of())
        os.mkfifo(folder / "pipe")
        watch.settle()
        assert watch.router.received() == []
        assert outside.exists()


def test_a_file_that_cannot_be_read_has_no_other_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with watched(tmp_path) as watch:
        watch.put("a", file_of())
        watch.put("b", file_of())
        read = watching._read

        def unreadable(path: Path, incoming: IncomingFile) -> None:
            if path.name == "a":
                raise PermissionError
            read(path, incoming)

        monkeypatch.setattr(watching, "_read", unreadable)
        watch.settle()
        assert watch.names() == {"a", "done/b"}
        monkeypatch.setattr(watching, "_read", read)
        watch.look(100.0)
        assert watch.names() == {"done/a", "done/b"}


def test_what_nobody_planned_has_no_other_wait(tmp_path: Path, written: io.StringIO) -> None:
    def store(arrival: Arrival) -> int:
        if arrival.sop_instance_uid == "1.2.1":
            raise ZeroDivisionError
        return SUCCESS

    with watched(tmp_path, store) as watch:
        watch.put("Doe^Jane.dcm", file_of(Ct(instance="1.2.1")))
        watch.put("image", file_of())
        watch.settle()
        assert watch.names() == {"Doe^Jane.dcm", "done/image"}
    assert "watched_file_failed" in written.getvalue()
    assert "Doe" not in written.getvalue()


def test_of_two_routers_one_watches_and_the_other_takes_over(tmp_path: Path) -> None:
    with ExitStack() as both, ExitStack() as one:
        first, second = one.enter_context(watched(tmp_path)), both.enter_context(watched(tmp_path))
        first.look()
        second.put("image", file_of())
        second.settle()
        assert second.names() == {"image"}
        one.close()
        second.settle()
        assert second.names() == {"done/image"}


@pytest.mark.parametrize("name", ["absent", "file"])
def test_a_folder_that_cannot_be_used_is_one_clear_message(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"\[router.watch\] folder .* cannot be used"), watched(tmp_path / name):
        pass


def test_the_router_watches_by_itself(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(file_of())
    with running_router(
        watch=Settings(folder=tmp_path, settled_s=0.1, calling_ae="CD"), lanes={"CD": "bulk"}
    ) as router:
        wait_until((tmp_path / "done/image").exists, "the file in done")
        assert len(router.received("imaging.instance.received.bulk")) == 1
    assert CT in str(router.events("imaging.instance.received.bulk"))
