"""The bytes a pure step looks at, or the outcome that says why it has none."""

from __future__ import annotations

from streams.events import ObjectRef
from streams.objects import Absent, Damaged, ObjectStore, StoreAway
from streams.step import Quarantine, RetryLater


def fetched(store: ObjectStore, ref: ObjectRef) -> bytes | Quarantine | RetryLater:
    """What is absent is waited for, alone; a store that is away makes everybody wait; damaged bytes are held."""
    try:
        return store.read(ref)
    except Absent:
        return RetryLater("its object is not in the store", scope="subject")
    except StoreAway:
        return RetryLater("the object store does not answer", scope="world")
    except Damaged:
        return Quarantine("hash_mismatch", "The stored bytes are not those that were acknowledged.")
