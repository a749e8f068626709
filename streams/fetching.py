"""The bytes that an event refers to, wherever they are by now; and what it means to a pure step that there are none."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import structs

from streams.events import ObjectRef
from streams.objects import Absent, Damaged, ObjectStore, StoreAway
from streams.step import Quarantine, RetryLater

# Where copies may be, the fastest first. A copy has the key of its original.
ORDER = ("hot", "warm", "cold", "backup")


def read_copy(store: ObjectStore, ref: ObjectRef, without: Collection[str] = ()) -> bytes:
    """The bytes of a reference, from where it says or from any other store that has them; `without` are not asked.

    Events name instances; where a copy is, is looked up when it is read. Raises Absent where no store has one, Damaged
    where every copy that there is has other bytes, StoreAway.
    """
    damaged: Damaged | None = None
    places = (structs.replace(ref, store=name, version_id=None) for name in ORDER if name in store.names)
    for place in (ref, *places):
        if place.store in without:
            continue
        try:
            return store.read(place)
        except Absent:
            continue
        except Damaged as error:
            damaged = damaged or error
    raise damaged or Absent(f"{ref.key} is in no store")


def fetched(store: ObjectStore, ref: ObjectRef) -> bytes | Quarantine | RetryLater:
    """What is absent is waited for, alone; a store that is away makes everybody wait; damaged bytes are held."""
    try:
        return read_copy(store, ref)
    except Absent:
        return RetryLater("its object is in no store", scope="subject")
    except StoreAway:
        return RetryLater("the object store does not answer", scope="world")
    except Damaged:
        return Quarantine("hash_mismatch", "The stored bytes are not those that were acknowledged.")
