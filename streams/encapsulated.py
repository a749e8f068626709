"""Encapsulated pixel data: which bytes are which frame (PS3.5 annex A.4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from streams.elements import ITEM, Element, Malformed

_ITEM = struct.Struct("<HHI")
# How a JPEG or JPEG-LS, and a JPEG 2000 or HTJ2K codestream begins.
_STARTS = (b"\xff\xd8", b"\xff\x4f")


@dataclass(frozen=True, slots=True)
class Fragment:
    """`at` is the first byte of its value, behind the item's head."""

    at: int
    length: int


@dataclass(frozen=True)
class Encapsulated:
    """The items of one element: the basic offset table, which may be empty, and the fragments behind it."""

    table: tuple[int, ...]
    fragments: tuple[Fragment, ...]

    @property
    def offsets(self) -> dict[int, int]:
        """The index of each fragment by what an offset table says of it."""
        first = self.fragments[0].at if self.fragments else 0
        return {fragment.at - first: index for index, fragment in enumerate(self.fragments)}


def items(data: bytes, element: Element) -> Encapsulated:
    """The items of encapsulated pixel data that `streams.part10.read` found. Raises Malformed where there are none."""
    found = []
    position = element.value_at
    while position + _ITEM.size <= element.end:
        group, number, length = _ITEM.unpack_from(data, position)
        if group << 16 | number != ITEM:
            break
        found.append(Fragment(position + _ITEM.size, length))
        position += _ITEM.size + length
    if not found:
        raise Malformed("structure", "Encapsulated pixel data has no item.")
    table = found[0]
    if table.at + table.length > element.end:
        raise Malformed("truncated", "The data ends within the offset table of encapsulated pixel data.")
    return Encapsulated(struct.unpack_from(f"<{table.length // 4}I", data, table.at), tuple(found[1:]))


def frames(data: bytes, pixel_data: Encapsulated, count: int) -> list[bytes | memoryview]:
    """The bytes of each frame; those in one fragment are not copied.

    Raises Malformed where frames cannot be told apart.
    """
    starts = _starts(data, pixel_data, count)
    view = memoryview(data)
    found: list[bytes | memoryview] = []
    for first, last in zip(starts, [*starts[1:], len(pixel_data.fragments)], strict=True):
        parts = [view[one.at : one.at + one.length] for one in pixel_data.fragments[first:last]]
        found.append(parts[0] if len(parts) == 1 else b"".join(parts))
    return found


def _starts(data: bytes, pixel_data: Encapsulated, count: int) -> list[int]:
    """The index of the fragment that begins each frame: as the offset table has it, else as can be seen."""
    fragments, offsets = pixel_data.fragments, pixel_data.offsets
    if fragments and count == 1:
        return [0]
    if len(fragments) == count:
        return list(range(count))
    if len(pixel_data.table) == count and all(offset in offsets for offset in pixel_data.table):
        starts = [offsets[offset] for offset in pixel_data.table]
    else:
        starts = [index for index, one in enumerate(fragments) if data[one.at : one.at + 2] in _STARTS]
    if len(starts) != count or starts[0] != 0 or starts != sorted(set(starts)):
        raise Malformed("structure", "Fragments cannot be told apart into frames.")
    return starts
