"""Where each frame of encapsulated pixel data begins in its file (PS3.5 annex A.4): by a table, or looked for."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from typing import Final

from gateway.dicomweb.heads import Head, Pixels
from gateway.flights import Flights
from gateway.kept import Kept
from gateway.problem import Problem
from gateway.reading import Blob, Reading
from gateway.workers import Workers
from streams.elements import ITEM, SEQUENCE_DELIMITER

_ITEM: Final = struct.Struct("<HHI")
# How a JPEG or JPEG-LS, and a JPEG 2000 or HTJ2K codestream begins.
_STARTS: Final = (b"\xff\xd8", b"\xff\x4f")
_FRAGMENTS_MAX: Final = 1 << 20
_TABLE_BYTES_MAX: Final = 4 << 20
CUT: Final = "The pixel data of the instance are cut short."


class FrameTables:
    """For one event loop. A table is offsets of items in the file: one more than there are frames."""

    def __init__(self, reading: Reading, workers: Workers, kept: Kept) -> None:
        self._reading, self._workers, self._kept = reading, workers, kept
        self._flights = Flights()

    async def of(self, blob: Blob, head: Head, pixels: Pixels) -> Sequence[int]:
        """Raises Problem 422 where frames cannot be told apart, and as `Reading.whole` does."""
        name = _name(blob)
        known = self._kept.at_hand(name)
        # Of what is small, which is read anyway, it is found sooner than a file of it is.
        if known is None and not blob.is_small:
            known = await self._workers.run(lambda: self._kept.get(name))
        if known is None:
            known = await self._flights.shared(name, lambda: self._made(name, blob, head, pixels))
        return memoryview(known).cast("Q")

    def at_hand(self, blob: Blob) -> Sequence[int] | None:
        """What is in memory of it."""
        known = self._kept.at_hand(_name(blob))
        return None if known is None else memoryview(known).cast("Q")

    async def _made(self, name: str, blob: Blob, head: Head, pixels: Pixels) -> bytes:
        # A damaged copy may say anything before all of it was checked: what it says is not believed behind that.
        is_checked = await self._reading.is_checked(blob)
        unchecked = f"unchecked {name}"
        if not is_checked and (known := self._kept.at_hand(unchecked)) is not None:
            return known
        table = await self._by_table(blob, head, pixels)
        if table is not None and not is_checked:
            data = array("Q", table).tobytes()
            self._kept.hold(unchecked, data)
            return data
        # Looked for, it is checked.
        data = array("Q", table or await self._looked_for(blob, pixels)).tobytes()
        (self._kept.hold if blob.is_small else self._kept.put)(name, data)
        return data

    async def _by_table(self, blob: Blob, head: Head, pixels: Pixels) -> list[int] | None:
        """By the extended or the basic offset table, if it has as many entries as there are frames, in their order."""
        said = _ITEM.unpack(await self._all_of(blob, pixels.at, _ITEM.size))
        if said[0] << 16 | said[1] != ITEM or said[2] > _TABLE_BYTES_MAX:
            return None
        first = pixels.at + _ITEM.size + said[2]
        if len(head.offsets) == 8 * pixels.frames:
            offsets: Sequence[int] = struct.unpack(f"<{pixels.frames}Q", head.offsets)
        elif said[2] == 4 * pixels.frames:
            table = await self._all_of(blob, pixels.at + _ITEM.size, said[2])
            offsets = struct.unpack(f"<{pixels.frames}I", table)
        elif pixels.frames == 1:
            offsets = (0,)
        else:
            return None
        starts = [first + offset for offset in offsets]
        is_ordered = all(one < other for one, other in zip(starts, [*starts[1:], pixels.end], strict=True))
        if not is_ordered or offsets[0] != 0 or not await self._is_item(blob, starts[-1]):
            return None
        return [*starts, pixels.end]

    async def _all_of(self, blob: Blob, at: int, length: int) -> bytes:
        data = await self._reading.part(blob, at, length)
        if len(data) < length:
            raise Problem(422, CUT)
        return data

    async def _is_item(self, blob: Blob, at: int) -> bool:
        """A table that lies about the last frame is not to be believed about the others."""
        head = await self._reading.part(blob, at, _ITEM.size)
        if len(head) < _ITEM.size:
            return False
        group, number, _ = _ITEM.unpack(head)
        return bool(group << 16 | number == ITEM)

    async def _looked_for(self, blob: Blob, pixels: Pixels) -> list[int]:
        """By reading it through once: a fragment is a frame, or begins one where it looks like it."""
        scan = _Scan(pixels.at)
        async for piece in self._reading.pieces(blob):
            await self._workers.run(lambda piece=piece: scan.add(piece))  # type: ignore[misc]
        starts = scan.starts(pixels.frames)
        if starts is None:
            raise Problem(422, "The frames of an instance cannot be told apart.")
        return [*starts, scan.end or pixels.end]


class _Scan:
    """Items of pixel data, found in pieces of a file as they come."""

    def __init__(self, at: int) -> None:
        self._position, self._next = 0, at
        self._rest = b""
        self._items, self._codestreams = array("Q"), array("Q")
        self._is_table = True
        self.end = 0

    def add(self, piece: bytes) -> None:
        data, start = self._rest + piece, self._position - len(self._rest)
        self._position += len(piece)
        # The head of an item, and two bytes of its value.
        while not self.end and self._next + _ITEM.size + 2 <= self._position:
            self._item(data, self._next - start)
        self._rest = data[max(0, self._next - start) :] if not self.end and self._next < self._position else b""

    def _item(self, data: bytes, at: int) -> None:
        group, number, length = _ITEM.unpack_from(data, at)
        tag = group << 16 | number
        if tag != ITEM or len(self._items) >= _FRAGMENTS_MAX:
            self.end = self._next
            return
        if not self._is_table:
            self._items.append(self._next)
            if data[at + _ITEM.size : at + _ITEM.size + 2] in _STARTS:
                self._codestreams.append(self._next)
        self._is_table = False
        self._next += _ITEM.size + length

    def starts(self, frames: int) -> Sequence[int] | None:
        if len(self._items) == frames:
            return self._items
        if frames == 1 and self._items:
            return self._items[:1]
        found = self._codestreams
        return found if len(found) == frames and found[0] == self._items[0] else None


def codestream(raw: memoryview) -> bytes | memoryview:
    """A frame without the heads of its fragments: one that is in one piece is not copied.

    Raises Problem 422 for what is not made of items.
    """
    parts, position = list[memoryview](), 0
    while position + _ITEM.size <= len(raw):
        group, number, length = _ITEM.unpack_from(raw, position)
        tag = group << 16 | number
        if tag == SEQUENCE_DELIMITER:
            break
        position += _ITEM.size
        if tag != ITEM or position + length > len(raw):
            raise Problem(422, "The frames of an instance cannot be told apart.")
        parts.append(raw[position : position + length])
        position += length
    if not parts:
        raise Problem(422, "The frames of an instance cannot be told apart.")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _name(blob: Blob) -> str:
    return f"checked frames {blob.digest}"
