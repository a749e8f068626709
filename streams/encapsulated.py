"""Encapsulated pixel data: which bytes are which frame (PS3.5 annex A.4)."""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from streams.elements import ITEM, Element, Malformed
from streams.mapped import File

# Tag and length of an item, and its tag as one number.
_HEAD = struct.Struct("<II")
_ITEM = (ITEM & 0xFFFF) << 16 | ITEM >> 16
# How a JPEG or JPEG-LS, and a JPEG 2000 or HTJ2K codestream begins.
_STARTS = (b"\xff\xd8", b"\xff\x4f")


@dataclass(frozen=True, slots=True)
class Fragment:
    """`at` is the first byte of its value, behind the item's head."""

    at: int
    length: int


class Fragments(Sequence[Fragment]):
    """Fragments in the order of the file. There may be half a million of them, so they are kept as numbers."""

    def __init__(self, starts: array[int], lengths: array[int]) -> None:
        self._starts = starts
        self._lengths = lengths

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> Fragment: ...
    @overload
    def __getitem__(self, index: slice) -> Fragments: ...
    def __getitem__(self, index: int | slice) -> Fragment | Fragments:
        if isinstance(index, slice):
            return Fragments(self._starts[index], self._lengths[index])
        return Fragment(self._starts[index], self._lengths[index])

    def index_at(self, offset: int) -> int | None:
        """The index of the fragment that an offset table means by `offset`; None where none begins there."""
        if not self._starts:
            return None
        place = bisect_left(self._starts, wanted := self._starts[0] + offset)
        return place if place < len(self._starts) and self._starts[place] == wanted else None

    def beginning_with(self, data: File, starts: tuple[bytes, bytes]) -> list[int]:
        """The indexes of those whose value begins so, two bytes each."""
        return [index for index, at in enumerate(self._starts) if data[at : at + 2] in starts]


@dataclass(frozen=True)
class Encapsulated:
    """The items of one element: the basic offset table, which may be empty, and the fragments behind it."""

    table: Sequence[int]
    fragments: Fragments


def items(data: File, element: Element) -> Encapsulated:
    """The items of encapsulated pixel data that `streams.part10.read` found. Raises Malformed where there are none.

    Of half a million that hold nothing, too, so nothing is done twice for each.
    """
    starts, lengths = array("Q"), array("Q")
    starts_here, is_long, head = starts.append, lengths.append, _HEAD.unpack_from
    position, last = element.value_at, element.end - _HEAD.size
    while position <= last:
        tag, length = head(data, position)
        if tag != _ITEM:
            break
        position += _HEAD.size
        starts_here(position)
        is_long(length)
        position += length
    if not starts:
        raise Malformed("structure", "Encapsulated pixel data has no item.")
    at, length = starts[0], lengths[0]
    if at + length > element.end:
        raise Malformed("truncated", "The data ends within the offset table of encapsulated pixel data.")
    return Encapsulated(_table(data, at, length), Fragments(starts[1:], lengths[1:]))


def _table(data: File, at: int, length: int) -> Sequence[int]:
    """Where it lies, not copied: a table may be as large as the file."""
    return memoryview(data)[at : at + length // 4 * 4].cast("I")


class Codestreams:
    """The bytes of each frame, put together when they are asked for; those in one fragment are not copied."""

    def __init__(self, data: File, fragments: Fragments, starts: Sequence[int]) -> None:
        self._view = memoryview(data)
        self._fragments = fragments
        self._starts = starts

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> bytes | memoryview:
        index = range(len(self))[index]
        last = self._starts[index + 1] if index + 1 < len(self) else len(self._fragments)
        parts = [self._view[one.at : one.at + one.length] for one in self._fragments[self._starts[index] : last]]
        return parts[0] if len(parts) == 1 else b"".join(parts)


def frames(data: File, pixel_data: Encapsulated, count: int) -> Codestreams:
    """The bytes of each of `count` frames. Raises Malformed where frames cannot be told apart."""
    return Codestreams(data, pixel_data.fragments, _starts(data, pixel_data, count))


def _starts(data: File, pixel_data: Encapsulated, count: int) -> Sequence[int]:
    """The index of the fragment that begins each frame: as the offset table has it, else as can be seen."""
    fragments = pixel_data.fragments
    if fragments and count == 1:
        return [0]
    if len(fragments) == count:
        return range(count)
    if count > len(fragments):
        raise Malformed("structure", "There are fewer fragments than frames.")
    starts = _by_table(pixel_data) if len(pixel_data.table) == count else None
    if starts is None:
        starts = fragments.beginning_with(data, _STARTS)
    if len(starts) != count or starts[0] != 0 or starts != sorted(set(starts)):
        raise Malformed("structure", "Fragments cannot be told apart into frames.")
    return starts


def _by_table(pixel_data: Encapsulated) -> list[int] | None:
    """What the offset table says; None where it points elsewhere than at fragments."""
    found = [pixel_data.fragments.index_at(offset) for offset in pixel_data.table]
    starts = [index for index in found if index is not None]
    return starts if len(starts) == len(found) else None
