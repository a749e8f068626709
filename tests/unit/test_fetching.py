"""Bytes are read from wherever they are by now: an event is not told where its instance was moved to."""

from __future__ import annotations

import msgspec
import pytest

from streams.events import ObjectRef
from streams.fetching import fetched, read_copy
from streams.memory_store import MemoryStore
from streams.objects import Absent, Damaged
from streams.step import NewObject, Quarantine, RetryLater

KEY = "t/studies/1.2/1/1/a.dcm"


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def put(store: MemoryStore, name: str, data: bytes = b"bytes") -> ObjectRef:
    return store.create(NewObject("t", name, KEY, data)).ref


@pytest.mark.parametrize("now_in", ["warm", "cold", "backup"])
def test_what_has_moved_is_read_where_it_is(store: MemoryStore, now_in: str) -> None:
    ref = put(store, "hot")
    put(store, now_in)
    store.delete(ref)
    assert read_copy(store, ref) == b"bytes"
    assert fetched(store, ref) == b"bytes"


def test_what_came_back_into_its_store_has_another_version_and_is_read(store: MemoryStore) -> None:
    ref = put(store, "hot")
    store.delete(ref)
    assert put(store, "hot").version_id != ref.version_id
    assert fetched(store, ref) == b"bytes"


def test_a_damaged_copy_is_passed_over_where_a_good_one_is(store: MemoryStore) -> None:
    ref = msgspec.structs.replace(put(store, "backup"), store="hot", version_id=None)
    put(store, "hot", b"BYTES")
    assert fetched(store, ref) == b"bytes"


def test_what_is_in_no_store_is_waited_for_and_what_is_damaged_everywhere_is_held(store: MemoryStore) -> None:
    ref = put(store, "hot")
    store.delete(ref)
    with pytest.raises(Absent):
        read_copy(store, ref)
    assert fetched(store, ref) == RetryLater("its object is in no store", scope="subject")
    put(store, "warm", b"other")
    with pytest.raises(Damaged):
        read_copy(store, ref)
    assert isinstance(fetched(store, ref), Quarantine)
