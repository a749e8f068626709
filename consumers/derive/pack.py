"""One object with all copies of an instance, which describes itself (docs/decisions/0005).

    part | part | ... | index (JSON) | length of the index (4 bytes, little endian) | magic (8 bytes)

Whoever loses the race to create the object reads the index of what is stored and says what that holds.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from streams.events import FrameRange, ObjectRef, Representation
from streams.step import Stored

MAGIC = b"RADPACK1"
Kind = Literal["lossless", "thumbnail", "preview", "strip", "enhanced"]
_TAIL = struct.Struct("<I8s")


class NotAPack(Exception):
    """The bytes do not end as a pack does."""


@dataclass(frozen=True)
class Part:
    """One copy. `frames` are byte ranges of codestreams inside `data`, in frame order."""

    kind: Kind
    media_type: str
    rows: int
    columns: int
    data: bytes
    transfer_syntax_uid: str | None = None
    frames: tuple[FrameRange, ...] = ()


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One part in the index. Offsets, those of frames too, are in the whole object."""

    kind: Kind
    media_type: str
    rows: int
    columns: int
    offset: int
    length: int
    sha256: str
    transfer_syntax_uid: str | None = None
    frames: tuple[FrameRange, ...] = ()


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """All that the event says of the copies: parts in their order, and notes on what was not made."""

    parts: tuple[Entry, ...]
    notes: tuple[str, ...]


# Made here, by the one thread that imports: two threads at the first use of a Struct crash msgspec (streams/wire.py).
_INDEX = msgspec.json.Decoder(Index)


def packed(parts: Sequence[Part], notes: tuple[str, ...]) -> bytes:
    """The object's bytes."""
    entries, position = [], 0
    for part in parts:
        entries.append(_entry(part, position))
        position += len(part.data)
    index = msgspec.json.encode(Index(parts=tuple(entries), notes=notes))
    return b"".join((*(part.data for part in parts), index, _TAIL.pack(len(index), MAGIC)))


def _entry(part: Part, position: int) -> Entry:
    return Entry(
        kind=part.kind,
        media_type=part.media_type,
        rows=part.rows,
        columns=part.columns,
        offset=position,
        length=len(part.data),
        sha256=hashlib.sha256(part.data).hexdigest(),
        transfer_syntax_uid=part.transfer_syntax_uid,
        frames=tuple(FrameRange(offset=position + item.offset, length=item.length) for item in part.frames),
    )


def index_of(data: bytes) -> Index:
    """Reads a pack's index. Raises NotAPack."""
    if len(data) < _TAIL.size:
        raise NotAPack("too short")
    length, magic = _TAIL.unpack_from(data, len(data) - _TAIL.size)
    end = len(data) - _TAIL.size
    if magic != MAGIC or length > end:
        raise NotAPack("no index at its end")
    try:
        return _INDEX.decode(data[end - length : end])
    except msgspec.DecodeError:
        raise NotAPack("its index is not one") from None


def representations(stored: Stored, index: Index) -> tuple[Representation, ...]:
    """What an event says of the stored pack's parts."""
    return tuple(
        Representation(
            kind=entry.kind,
            media_type=entry.media_type,
            transfer_syntax_uid=entry.transfer_syntax_uid,
            rows=entry.rows,
            columns=entry.columns,
            object=_ref(stored.ref, entry),
            frames=entry.frames,
        )
        for entry in index.parts
    )


def _ref(whole: ObjectRef, entry: Entry) -> ObjectRef:
    return msgspec.structs.replace(whole, offset=entry.offset, length=entry.length, sha256=entry.sha256)
