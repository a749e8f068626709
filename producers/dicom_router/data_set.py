"""A data set as it comes in, placed where the file to store is complete without a copy.

Room for group 0002 is left in front of it. The digest of the file is computed while bytes arrive, on the guess that the
data set has the SOP class and instance of its command, as nearly every one has.
"""

from __future__ import annotations

import hashlib
from enum import Enum
from typing import Final, NamedTuple

from producers.dicom_router.object_buffer import BufferPool, ObjectBuffer
from streams.identity import uid_is_usable
from streams.stored_file import PREAMBLE, file_meta

# A preamble and a group 0002 with three UIDs of 64 characters have 450 bytes.
_HEAD_BYTES: Final = 512
# hashlib lets other threads run from 2 kB on; below 64 kB its own cost shows.
_HASHED_BYTES: Final = 131_072


class Fate(Enum):
    """What became of the bytes."""

    HERE = "here"
    OVERSIZE = "more than the router takes"
    NO_ROOM = "no memory for them"


class StoredFile(NamedTuple):
    """The bytes to store and their SHA-256 (hex). The bytes are there until the request is answered, and no longer."""

    data: memoryview
    sha256: str


class DataSet:
    """The bytes of one C-STORE request. Used by one thread; `done` ends it.

    What comes after `bytes_max`, or where memory is out, is let go together with what came before.
    """

    def __init__(
        self, pool: BufferPool, bytes_max: int, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str
    ) -> None:
        self.fate = Fate.HERE
        self._pool = pool
        self._buffer: ObjectBuffer = pool.take()
        self._bytes_max = bytes_max
        self._transfer_syntax_uid = transfer_syntax_uid
        self._named = sop_class_uid, sop_instance_uid
        self._head = _head(sop_class_uid, sop_instance_uid, transfer_syntax_uid)
        self._hash = hashlib.sha256(self._head)
        self._end = self._hashed = _HEAD_BYTES

    def __len__(self) -> int:
        return self._end - _HEAD_BYTES

    @property
    def view(self) -> memoryview:
        """What came; nothing where it was let go. Valid until `done`."""
        return self._buffer.view[_HEAD_BYTES : self._end]

    def room(self, length: int) -> memoryview:
        """Where the next bytes go, `length` of them or fewer; `filled` says how many came.

        The view is released before the next call: the memory behind it may move.
        """
        if self.fate is Fate.HERE and len(self) + length > self._bytes_max:
            self._let_go(Fate.OVERSIZE)
        if self.fate is Fate.HERE:
            try:
                self._buffer.grow(self._end + length)
            except (OSError, MemoryError):
                self._let_go(Fate.NO_ROOM)
        return self._buffer.view[self._end : self._end + length]

    def filled(self, count: int) -> None:
        if self.fate is not Fate.HERE:
            return
        self._end += count
        if self._end - self._hashed >= _HASHED_BYTES:
            self._update()

    def stored_file(self, sop_class_uid: str, sop_instance_uid: str) -> StoredFile:
        """The file with these UIDs in its group 0002 (`streams.stored_file`)."""
        self._update()
        guessed = (sop_class_uid, sop_instance_uid) == self._named
        head = self._head if guessed else _head(sop_class_uid, sop_instance_uid, self._transfer_syntax_uid)
        start = _HEAD_BYTES - len(head)
        self._buffer.view[start:_HEAD_BYTES] = head
        file = self._buffer.view[start : self._end]
        return StoredFile(file, (self._hash if guessed else hashlib.sha256(file)).hexdigest())

    def done(self, *, reusable: bool) -> None:
        """Gives the memory back. It is not `reusable` after a failure: who failed may still read it for a while."""
        if reusable:
            self._pool.give_back(self._buffer)

    def _update(self) -> None:
        self._hash.update(self._buffer.view[self._hashed : self._end])
        self._hashed = self._end

    def _let_go(self, fate: Fate) -> None:
        self.fate = fate
        self._end = self._hashed = _HEAD_BYTES
        self._buffer.shrink()


def _head(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble and group 0002. What cannot be a name is not written there."""
    named = (uid if uid_is_usable(uid) else "" for uid in (sop_class_uid, sop_instance_uid, transfer_syntax_uid))
    return PREAMBLE + file_meta(*named)
