"""What is large is never on the heap as a whole: it is fetched in pieces, each hashed as it comes, into a file that is
mapped then; or, where only its digest counts, nowhere.

Up to LARGE_BYTES an object is read at once: its reader has as much memory for each thread.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from streams.events import ObjectRef
from streams.mapped import File
from streams.nameless_file import NamelessFile
from streams.objects import Damaged, ObjectStore

# From here on the router drains one at a time, too (docs/decisions/0085).
LARGE_BYTES: Final = 64 << 20
_PIECE_BYTES: Final = 8 << 20


def held_bytes(length: int) -> int:
    """What `fetch` has in memory of an object of so many bytes: all of it, or two pieces of what is mapped."""
    return length if length <= LARGE_BYTES else 2 * _PIECE_BYTES


def fetch(store: ObjectStore, ref: ObjectRef) -> File:
    """The `length` bytes of the reference, checked. Raises Absent (Archived), Damaged, NoRoom, StoreAway."""
    if ref.length <= LARGE_BYTES:
        return store.read(ref)
    with NamelessFile(store.objects_folder, ref.length) as file:
        for piece in _checked(store, ref):
            file.write(piece)
        return file.mapped()


def joined(parts: Sequence[bytes | memoryview], folder: Path | None) -> File:
    """What is written anew, out of its parts; mapped where it is large, out of a file in `folder`. Raises NoRoom."""
    size = sum(map(len, parts))
    if size <= LARGE_BYTES:
        return b"".join(parts)
    with NamelessFile(folder, size) as file:
        for part in parts:
            for at in range(0, len(part), _PIECE_BYTES):
                file.write(part[at : at + _PIECE_BYTES])
        return file.mapped()


def verify(store: ObjectStore, ref: ObjectRef) -> None:
    """Reads them back, and holds none of what is large. Raises Absent (Archived), Damaged, StoreAway."""
    if ref.length <= LARGE_BYTES:
        store.read(ref)
        return
    for _ in _checked(store, ref):
        pass


def _checked(store: ObjectStore, ref: ObjectRef) -> Iterator[bytes]:
    """In pieces. Raises Damaged behind the last one where all of them are not what the reference says."""
    digest, at, end = hashlib.sha256(), ref.offset, ref.offset + ref.length
    while at < end:
        piece = store.read_range(ref, at, min(_PIECE_BYTES, end - at))
        if not piece:
            raise Damaged(f"{ref.store}/{ref.key} ends before its reference does")
        digest.update(piece)
        at += len(piece)
        yield piece
    if digest.hexdigest() != ref.sha256:
        raise Damaged(f"{ref.store}/{ref.key} has another SHA-256 than its reference")
