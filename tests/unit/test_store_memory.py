"""The fake object store does what the real one does."""

from __future__ import annotations

import dataclasses

import pytest

from streams.events import ObjectRef
from streams.memory_store import MemoryStore
from tests.store_suite import Lock, Overwrite, StoreSuite


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def overwrite(store: MemoryStore) -> Overwrite:
    def replace(ref: ObjectRef, data: bytes) -> None:
        held = store._held[ref.store, ref.key]
        store._held[ref.store, ref.key] = dataclasses.replace(held, data=data)

    return replace


@pytest.fixture
def lock(store: MemoryStore) -> Lock:
    return lambda ref: store.locked.add((ref.store, ref.key))


class TestMemoryStore(StoreSuite):
    pass
