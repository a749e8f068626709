"""The object store behind one small interface.

boto3 for everything that is control, obstore for the bytes. Every object is created with `If-None-Match: *` and a
SHA-256 that the store checks; nothing is ever overwritten.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from streams.events import ObjectRef
from streams.step import NewObject, Stored


class Absent(Exception):
    """No such object, or no such version. Absent means wait or restore, never quarantine."""


class Archived(Absent):
    """It is there, and cannot be read before it was restored: wait or restore."""


class NotRestorable(Exception):
    """The store refuses to restore an object: nothing that waiting mends."""


class Damaged(Exception):
    """The bytes read are not those of the reference's SHA-256."""


class StoreAway(Exception):
    """The store cannot be reached or does not answer as it should. Wait and try again."""


class NoRoom(StoreAway):
    """This machine has no disk for an object that is too large for memory. Wait and try again, as for a store that is
    away: nothing is wrong with the object. The text says what is missing where."""


class StoreRefused(Exception):
    """The store answers, and says that it takes no such object: too large for it, or a key that it cannot hold.

    Nothing that waiting mends, and nothing of other objects. The text is our own and names no key.
    """


@dataclass(frozen=True)
class Listed:
    """The latest version of a key. `version_id` is None where the store keeps no versions; `size` is in bytes.

    `modified` is when it was put, by the store's clock.
    """

    key: str
    size: int
    version_id: str | None
    modified: datetime


class ObjectStore(Protocol):
    @property
    def names(self) -> Collection[str]:
        """The stores that there are, as the configuration names them."""

    @property
    def archived(self) -> Collection[str]:
        """Those that do not answer at once: `restore` comes before `read`."""

    @property
    def objects_folder(self) -> Path | None:
        """Where what is large lies while it is read (`streams.reading_large`); None for the system's folder."""

    def restore(self, ref: ObjectRef) -> bool:
        """Whether it can be read now. Where it cannot, it is asked for, once however often this is called.

        Raises Absent, NotRestorable, StoreAway.
        """

    def create(self, new: NewObject) -> Stored:
        """Creates the object, or reads back what has its key already. Durable when it returns.

        Raises StoreAway, StoreRefused.
        """

    def read(self, ref: ObjectRef) -> bytes:
        """The `length` bytes of the reference, checked. Raises Absent (Archived), Damaged, StoreAway.

        For what may be large there is `streams.reading_large.fetch`.
        """

    def head(self, ref: ObjectRef, length: int) -> bytes:
        """At most the first `length` bytes of the referred object, unchecked: for who looks at a header alone.

        Raises Absent, StoreAway.
        """

    def stream(self, ref: ObjectRef) -> Iterator[bytes]:
        """The whole object of the reference's key and version, in pieces and unchecked: what is there, whatever it is.

        For who looks for damage. Raises Absent, StoreAway.
        """

    def read_range(self, ref: ObjectRef, start: int, length: int) -> bytes:
        """`length` bytes from `start` on, unchecked; fewer where the object ends before.

        `start` is in the whole object, whatever part of it the reference is of. Raises Absent, Damaged where the
        object has another size than the reference says, StoreAway.
        """

    def pieces(self, ref: ObjectRef) -> AsyncIterator[bytes]:
        """The `length` bytes of the reference in pieces of about 1 MB, unchecked: for who checks them as they come.

        Raises as `read_range` does.
        """
        # Not `async def`: an asynchronous generator is what a call of it returns at once (PEP 525).

    def find(self, tenant: str, store: str, key: str) -> Stored | None:
        """What has a key, or None: for who knows a key and not yet what it holds. Raises Archived, StoreAway."""

    def exists(self, ref: ObjectRef) -> bool:
        """Whether the referred object (and version) is there. Raises StoreAway."""

    def keys(self, store: str, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Key and size (bytes) of each object under a prefix, in key order. Raises StoreAway."""

    def listed(self, store: str, prefix: str) -> Iterator[Listed]:
        """The latest version of each key under a prefix that is not deleted, in key order. Raises StoreAway."""

    def delete(self, ref: ObjectRef) -> bool:
        """Deletes the version that the reference names, and no other; False where an object lock forbids it.

        One that is gone already is deleted. Raises ValueError for a reference without a version, StoreAway.
        """
