"""Large objects that wait on the spool are committed one at a time, and nobody else waits for that."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from producers.dicom_router.spool import breaker, draining
from producers.dicom_router.spool.config import Settings
from streams.memory_store import MemoryStore
from streams.objects import StoreAway
from streams.step import NewObject, Stored
from tests.routers import Ct, running_router
from tests.waiting import wait_until

LARGE_BYTES = 1 << 20


class Store(MemoryStore):
    """Takes nothing while `away`, and of the large ones none before `gate` is open; `most` were there at once."""

    def __init__(self) -> None:
        super().__init__()
        self.away = True
        self.gate = threading.Event()
        self.large = self.most = 0
        self._lock = threading.Lock()

    def create(self, new: NewObject) -> Stored:
        if self.away:
            raise StoreAway("the store is away")
        if len(new.data) <= LARGE_BYTES:
            return super().create(new)
        with self._lock:
            self.large += 1
            self.most = max(self.most, self.large)
        self.gate.wait()
        with self._lock:
            self.large -= 1
        return super().create(new)


def image(study: int, number: int, size: int) -> Ct:
    name = f"1.2.{study}"
    return Ct(study=name, series=f"{name}.1", instance=f"{name}.1.{number}", pixels=bytes(size))


def test_images_of_other_studies_do_not_wait_for_large_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (draining, breaker):
        monkeypatch.setattr(module, "LARGE_BYTES", LARGE_BYTES)
    large = [image(study, 1, 2 * LARGE_BYTES) for study in range(1, 2 * draining.THREADS)]
    small = [image(study, 1, 128) for study in range(20, 40)]
    behind = [image(1, number, 128) for number in range(2, 5)]
    store = Store()
    with running_router(store, store, spool=Settings(folder=tmp_path / "spool", free_bytes_min=0)) as router:
        try:
            for one in (*large, *small, *behind):
                assert router.send(one.item()).statuses == {"0000": 1}
            store.away = False
            wait_until(lambda: len(router.received()) >= len(small), "images of other studies")
            assert {event.instance.sop_instance_uid for event in router.received()} == {one.instance for one in small}
        finally:
            store.gate.set()
        wait_until(lambda: len(router.received()) == len(large) + len(small) + len(behind), "all the others")
        assert store.most == 1
        of_one = [one.instance.sop_instance_uid for one in router.received() if one.instance.study_uid == "1.2.1"]
        assert of_one == [one.instance for one in (large[0], *behind)]
