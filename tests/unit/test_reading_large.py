"""What is large has a place on the disk while it is read, or is told to wait for one; none of it stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from producers.dicom_router.object_file import left_free
from producers.dicom_router.spool.config import Settings as Spool
from streams import nameless_file, reading_large
from streams.config import Store
from streams.events import ObjectRef
from streams.fetching import fetched, read_copy
from streams.mapped import Mapped
from streams.memory_store import MemoryStore
from streams.objects import NoRoom, StoreAway
from streams.reading_large import fetch, verify
from streams.s3 import S3Store
from streams.step import NewObject, Quarantine, RetryLater

KEY = "t/studies/1.2/1/1/a.dcm"
DATA = bytes(range(256)) * 100


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    monkeypatch.setattr(reading_large, "LARGE_BYTES", 1000)
    made = MemoryStore()
    made.objects_folder = tmp_path / "large"
    return made


def put(store: MemoryStore, name: str = "hot") -> ObjectRef:
    return store.create(NewObject("t", name, KEY, DATA)).ref


def test_its_folder_is_made_for_this_user_alone_and_nothing_is_in_it(store: MemoryStore) -> None:
    mapped = fetch(store, put(store))
    assert isinstance(mapped, Mapped)
    assert store.objects_folder is not None
    assert store.objects_folder.stat().st_mode & 0o777 == 0o700
    assert list(store.objects_folder.iterdir()) == [], "it has no name, also while somebody has it"


def test_its_room_on_the_disk_is_given_back_with_the_last_view_of_it(store: MemoryStore) -> None:
    def is_held() -> bool:
        return str(store.objects_folder) in Path("/proc/self/maps").read_text(encoding="utf-8")

    mapped = fetch(store, put(store))
    view = memoryview(mapped)[10:20]
    del mapped
    assert bytes(view) == DATA[10:20]
    assert is_held()
    del view
    assert not is_held()


def test_a_byte_is_counted_in_it_as_in_bytes(store: MemoryStore) -> None:
    mapped = fetch(store, put(store))
    for start, end in ((0, len(DATA)), (93, 94), (100, 20_000), (5, 5)):
        assert mapped.count(b"\\", start, end) == DATA.count(b"\\", start, end)


def test_a_full_disk_is_waited_for_alone_and_then_goes_on(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    ref = put(store)
    with monkeypatch.context() as full:
        full.setattr(nameless_file, "FREE_BYTES_MIN", 1 << 60)
        with capture_logs() as logged:
            outcome = fetched(store, ref)
        verify(store, ref)
    assert isinstance(outcome, RetryLater)
    assert outcome.scope == "subject"
    assert str(store.objects_folder) in outcome.reason
    assert "[store] objects_folder" in outcome.reason
    assert [(one["event"], one["reason"]) for one in logged] == [("no_room", outcome.reason)]
    assert outcome.attempts_max is not None
    assert memoryview(read_copy(store, ref)) == DATA


def test_an_object_larger_than_its_disk_is_refused_before_any_of_it_is_read(store: MemoryStore) -> None:
    ref = structs.replace(put(store), length=1 << 50, size=1 << 50)
    with pytest.raises(NoRoom, match="has no room for an object of 1073741824 MiB"):
        fetch(store, ref)


def test_what_is_read_leaves_room_for_what_comes_in(tmp_path: Path) -> None:
    """On one disk for both the router would have refused large objects for as long as others are read."""
    assert left_free(tmp_path, Spool(folder=tmp_path)) < nameless_file.FREE_BYTES_MIN


def test_a_folder_that_cannot_be_is_waited_for_as_a_full_disk_is(store: MemoryStore, tmp_path: Path) -> None:
    """And is no fault of the object: whoever waits for a store waits for it, too."""
    (tmp_path / "file").write_bytes(b"")
    store.objects_folder = tmp_path / "file"
    with pytest.raises(StoreAway, match="objects_folder"):
        fetch(store, put(store))
    assert isinstance(fetched(store, put(store)), RetryLater)


def test_a_damaged_one_is_passed_over_where_a_good_one_is_and_held_where_none_is(store: MemoryStore) -> None:
    ref = structs.replace(put(store, "warm"), store="hot", version_id=None)
    store.create(NewObject("t", "hot", KEY, DATA[:-1] + b"!"))
    assert memoryview(read_copy(store, ref)) == DATA
    store.delete(put(store, "warm"))
    assert isinstance(fetched(store, ref), Quarantine)


def test_the_folder_of_the_configuration_is_that_of_the_store(tmp_path: Path) -> None:
    config = Store(
        endpoint="http://127.0.0.1:1", access_key="a", secret_key="s", buckets={"hot": "hot"}, objects_folder=tmp_path
    )
    assert S3Store(config).objects_folder == tmp_path
