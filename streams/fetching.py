"""The bytes that an event refers to, wherever they are by now; and what it means to a pure step that there are none."""

from __future__ import annotations

from collections.abc import Collection

import structlog
from msgspec import structs

from streams.events import ObjectRef
from streams.mapped import File
from streams.objects import Absent, Damaged, NoRoom, ObjectStore, StoreAway
from streams.reading_large import fetch
from streams.step import Quarantine, RetryLater

# Where copies may be, the fastest first. A copy has the key of its original.
ORDER = ("hot", "warm", "cold", "backup")
ABSENT = RetryLater("its object is in no store", scope="subject")
# Most of a day, in which somebody makes room; then a dead letter says that it is missing. The small ones go on.
_ROOM_ATTEMPTS_MAX = 200


def read_copy(store: ObjectStore, ref: ObjectRef, without: Collection[str] = ()) -> File:
    """The bytes of a reference, from where it says or from any other store that has them; `without` are not asked.

    Events name instances; where a copy is, is looked up when it is read. Raises Absent where no store has one, Damaged
    where every copy that there is has other bytes, NoRoom, StoreAway.
    """
    damaged: Damaged | None = None
    places = (structs.replace(ref, store=name, version_id=None) for name in ORDER if name in store.names)
    for place in (ref, *places):
        if place.store in without:
            continue
        try:
            return fetch(store, place)
        except Absent:
            continue
        except Damaged as error:
            damaged = damaged or error
    raise damaged or Absent(f"{ref.key} is in no store")


def fetched(store: ObjectStore, ref: ObjectRef) -> File | Quarantine | RetryLater:
    """What is absent is waited for, alone, and so is room on the disk for what is large; a store that is away makes
    everybody wait; damaged bytes are held."""
    try:
        return read_copy(store, ref)
    except Absent:
        return ABSENT
    except NoRoom as error:
        return waiting_for(error)
    except StoreAway:
        return RetryLater("the object store does not answer", scope="world")
    except Damaged:
        return Quarantine("hash_mismatch", "The stored bytes are not those that were acknowledged.")


def waiting_for(room: NoRoom) -> RetryLater:
    """Said at once: the dead letter comes when nobody can wait any longer."""
    structlog.get_logger().error("no_room", reason=str(room))
    return RetryLater(str(room), "subject", _ROOM_ATTEMPTS_MAX)
