"""Two routers on one spool, of which one ends: each image is committed by whoever has its folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.dicom_router.spool import draining, places, progress, stuck
from producers.dicom_router.spool.config import Settings
from producers.dicom_router.spool.reading import walk
from streams.memory_store import MemoryStore
from streams.objects import StoreAway
from streams.step import NewObject, Stored
from tests.routers import Ct, running_router
from tests.spools import opened, segments
from tests.waiting import wait_until

STUDY = "1.2.3"


class Store(MemoryStore):
    """Takes nothing while it is away, and hangs while its gate is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.tried = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def create(self, new: NewObject) -> Stored:
        self.tried.set()
        self.gate.wait()
        if self.away:
            raise StoreAway("the store is away")
        return super().create(new)


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.gate.set()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(folder=tmp_path, acknowledge="spool", budget_bytes=64 << 20, free_bytes_min=0)


def images(count: int) -> list[Ct]:
    return [Ct(study=STUDY, series=f"{STUDY}.1", instance=f"{STUDY}.1.{number}") for number in range(1, count + 1)]


def test_a_folder_is_not_let_go_while_something_in_it_is_being_committed(
    store: Store, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow store: the older one has gone as far as it can, and its process is there yet."""
    monkeypatch.setattr(draining, "_STOP_S_MAX", 0.05)
    with running_router(store, store, spool=settings) as older:
        store.gate.clear()
        assert older.send(images(1)[0].item()).statuses == {"0000": 1}
        assert store.tried.wait(60.0)
    newer = opened(tmp_path)
    newer.look()
    assert newer.figures()[0] == 0, "the older one has it in hand"
    assert newer.holds(STUDY)
    store.gate.set()
    wait_until(lambda: not segments(tmp_path), "the older one to be done with it")
    assert not newer.holds(STUDY)
    assert len(older.received()) == 1
    newer.close()


def test_a_folder_is_let_go_when_nothing_in_it_is_being_committed(
    store: Store, settings: Settings, tmp_path: Path
) -> None:
    store.away = True
    with running_router(store, store, spool=settings) as older:
        assert older.send(*(image.item() for image in images(3))).statuses == {"0000": 3}
    newer = opened(tmp_path)
    assert newer.figures()[0] == 3
    newer.close()


def test_a_segment_that_is_gone_and_was_noted_as_committed_is_done(
    store: Store, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stuck, "PAUSE_S", 3600.0)
    store.away = True
    with running_router(store, store, spool=settings) as router:
        assert router.send(*(image.item() for image in images(2))).statuses == {"0000": 2}
        (path,) = segments(tmp_path)
        for one in walk(path).found:
            progress.mark(path, one.head.check)
        path.unlink()
        store.away = False
        wait_until(lambda: (router.keeping.look(), not list(tmp_path.glob("*/*.progress")))[1], "nothing to wait")
        assert router.received() == []
        assert router.keeping._spool is not None
        assert router.keeping._spool.figures()[0] == 0
        assert places.owned_folders(tmp_path)
