"""A data set as it comes in, placed where the file to store is complete without a copy.

Room for group 0002 is left in front of it. The digest of the file is computed while bytes arrive, on the guess that the
data set has the SOP class and instance of its command, as nearly every one has. What the memory for all objects has no
room for goes on in a file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from producers.dicom_router.object_buffer import Budget, BufferPool
from producers.dicom_router.object_file import ObjectFile
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
    NO_ROOM = "neither memory nor disk has room for them"


class StoredFile(NamedTuple):
    """The bytes to store and their SHA-256 (hex). The bytes are there until the request is answered, and no longer.

    `in_page` is where in a page of memory they begin, None where nobody knows.
    """

    data: bytes | memoryview
    sha256: str
    in_page: int | None = None


@dataclass(frozen=True)
class Room:
    """Where data sets go: memory, then files in `folder`; `object_bytes_max` bounds each. Of the disk of the files
    `free_bytes_min` is left free."""

    object_bytes_max: int
    memory: BufferPool
    disk: Budget
    folder: Path | None = None
    free_bytes_min: int = 0


class DataSet:
    """The bytes of one C-STORE request. Used by one thread; `done` ends it.

    What comes after the ceiling, or where there is no room, is let go together with what came before.
    """

    def __init__(self, room: Room, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> None:
        """Raises OSError without memory."""
        self.fate = Fate.HERE
        self._room = room
        self._lent = False
        self._buffer = room.memory.take()
        self._file: ObjectFile | None = None
        self._transfer_syntax_uid = transfer_syntax_uid
        self._named = sop_class_uid, sop_instance_uid
        self._head = _head(sop_class_uid, sop_instance_uid, transfer_syntax_uid)
        self._hash = hashlib.sha256(self._head)
        # Where the next byte goes in the buffer, up to where it is hashed (and written), and how much came in all.
        self._end = self._hashed = _HEAD_BYTES
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def view(self) -> memoryview:
        """What came; nothing where it was let go. Valid until `done`."""
        return self._all()[_HEAD_BYTES : _HEAD_BYTES + self._size]

    def room(self, length: int) -> memoryview:
        """Where the next bytes go, `length` of them or fewer; `filled` says how many came.

        The view is released before the next call: the memory behind it may move.
        """
        if self.fate is Fate.HERE and self._size + length > self._room.object_bytes_max:
            self._let_go(Fate.OVERSIZE)
        # Outside of the handler: what was raised holds views, and memory that is viewed cannot shrink.
        if self.fate is Fate.HERE and not self._made_room(self._end + length):
            self._let_go(Fate.NO_ROOM)
        return self._buffer.view[self._end : self._end + length]

    def filled(self, count: int) -> None:
        if self.fate is not Fate.HERE:
            return
        self._end += count
        self._size += count
        if self._end - self._hashed >= _HASHED_BYTES:
            self._update()

    def stored_file(self, sop_class_uid: str, sop_instance_uid: str) -> StoredFile:
        """The file with these UIDs in its group 0002 (`streams.stored_file`). Raises OSError where the disk fails."""
        whole = self._all()
        guessed = (sop_class_uid, sop_instance_uid) == self._named
        head = self._head if guessed else _head(sop_class_uid, sop_instance_uid, self._transfer_syntax_uid)
        start = _HEAD_BYTES - len(head)
        if self._file is None:
            whole[start:_HEAD_BYTES] = head
        else:
            self._file.overwrite(head, start)
        file = whole[start : _HEAD_BYTES + self._size]
        self._update()
        # Buffer and file are mapped, and begin with a page.
        return StoredFile(file, (self._hash if guessed else hashlib.sha256(file)).hexdigest(), start)

    def abandon(self) -> None:
        """The association ended before all was there."""
        self.done(reusable=True)

    def lend(self) -> None:
        """A commit that failed may read the bytes for a while yet: no other object comes into this memory."""
        self._lent = True

    def done(self, *, reusable: bool) -> None:
        """Gives everything back. Memory is not `reusable` after a failure: who failed may read it for a while."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if reusable and not self._lent:
            self._room.memory.give_back(self._buffer)
        else:
            self._room.memory.drop(self._buffer)

    def _all(self) -> memoryview:
        """Room for the head, and what came behind it."""
        if self._file is None:
            return self._buffer.view
        self._flush(self._file)
        return self._file.view()

    def _made_room(self, size: int) -> bool:
        """Whether the buffer has room for more, if not always for `size` bytes."""
        try:
            if self._file is None:
                if self._room.memory.grow(self._buffer, size):
                    return True
                self._file = ObjectFile(self._room.folder, self._room.disk, self._room.free_bytes_min)
                self._flush(self._file)
                self._room.memory.shrink(self._buffer)
            elif size > len(self._buffer.view):
                self._flush(self._file)
        except OSError:
            return False
        return True

    def _flush(self, file: ObjectFile) -> None:
        """What is in the buffer goes into the file, and the buffer is used from its start again."""
        self._update()
        file.append(self._buffer.view[: self._end])
        self._end = self._hashed = 0

    def _update(self) -> None:
        self._hash.update(self._buffer.view[self._hashed : self._end])
        self._hashed = self._end

    def _let_go(self, fate: Fate) -> None:
        self.fate = fate
        self._end = self._hashed = _HEAD_BYTES
        self._size = 0
        if self._file is not None:
            self._file.close()
            self._file = None
        self._room.memory.shrink(self._buffer)


def _head(sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str) -> bytes:
    """Preamble and group 0002. What cannot be a name is not written there."""
    named = (uid if uid_is_usable(uid) else "" for uid in (sop_class_uid, sop_instance_uid, transfer_syntax_uid))
    return PREAMBLE + file_meta(*named)
