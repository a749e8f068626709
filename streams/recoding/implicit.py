"""Explicit VR little endian, written anew in implicit VR little endian (PS3.5 annexes A.1 and A.2).

Every value keeps its bytes: only the heads of elements change.
"""

from __future__ import annotations

import struct

from streams.elements import (
    ITEM,
    ITEM_DELIMITER,
    SEQUENCE_DELIMITER,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Malformed,
    TooComplex,
)

_DEPTH_MAX = 64
_HEAD = struct.Struct("<HHI")
_EXPLICIT = struct.Struct("<HH2sH")
_LENGTH = struct.Struct("<I")


def converted(data: bytes) -> bytes:
    """A whole data set. Raises Malformed, also for encapsulated pixels, which implicit VR cannot hold; TooComplex."""
    out = bytearray()
    converter, position = _Converter(data), 0
    while position < len(data):
        position = converter.element(out, position, len(data), 0)
    return bytes(out)


class _Converter:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def element(self, out: bytearray, position: int, end: int, depth: int) -> int:
        """Appends the element at `position`; the byte after it."""
        group, number, vr, length, value_at = self._head(position, end)
        if length == UNDEFINED_LENGTH:
            inner = bytearray()
            # What has VR UN and undefined length is in implicit VR already (PS3.5 section 6.2.2).
            after = self._items(inner, value_at, end, depth + 1, explicit=vr != b"UN", delimited=True)
            out += _HEAD.pack(group, number, UNDEFINED_LENGTH) + inner
            return after
        after = value_at + length
        if after > end:
            raise Malformed("structure", "An element is longer than what holds it.")
        if vr == b"SQ":
            inner = bytearray()
            self._items(inner, value_at, after, depth + 1, explicit=True, delimited=False)
            out += _HEAD.pack(group, number, len(inner)) + inner
        else:
            out += _HEAD.pack(group, number, length)
            out += memoryview(self._data)[value_at:after]
        return after

    def _head(self, position: int, end: int) -> tuple[int, int, bytes, int, int]:
        self._check(position, end, 8)
        group, number, vr, length = _EXPLICIT.unpack_from(self._data, position)
        if vr in SHORT_VRS:
            return group, number, vr, length, position + 8
        if not (vr.isalpha() and vr.isupper()):
            raise Malformed("structure", "An element has no VR.")
        self._check(position, end, 12)
        if vr in (b"OB", b"OW") and _LENGTH.unpack_from(self._data, position + 8)[0] == UNDEFINED_LENGTH:
            raise Malformed("structure", "Encapsulated pixels cannot be written in implicit VR.")
        return group, number, vr, _LENGTH.unpack_from(self._data, position + 8)[0], position + 12

    def _implicit(self, out: bytearray, position: int, end: int, depth: int) -> int:
        """Copies an element that is in implicit VR already; the byte after it."""
        group, number, length = self._mark(position, end)
        if length == UNDEFINED_LENGTH:
            out += _HEAD.pack(group, number, length)
            return self._items(out, position + 8, end, depth + 1, explicit=False, delimited=True)
        after = position + 8 + length
        if after > end:
            raise Malformed("structure", "An element is longer than what holds it.")
        out += self._data[position:after]
        return after

    def _mark(self, position: int, end: int) -> tuple[int, int, int]:
        self._check(position, end, 8)
        group, number, length = _HEAD.unpack_from(self._data, position)
        return group, number, length

    def _check(self, position: int, end: int, size: int) -> None:
        if position + size > end:
            raise Malformed("structure", "The data ends within the head of an element.")

    def _items(self, out: bytearray, position: int, end: int, depth: int, *, explicit: bool, delimited: bool) -> int:
        if depth > _DEPTH_MAX:
            raise TooComplex(f"Sequences are nested more than {_DEPTH_MAX} deep.", "depth")
        while position < end:
            group, number, length = self._mark(position, end)
            tag = group << 16 | number
            if tag == SEQUENCE_DELIMITER and delimited:
                out += _HEAD.pack(group, number, 0)
                return position + 8
            if tag != ITEM or (length != UNDEFINED_LENGTH and position + 8 + length > end):
                raise Malformed("structure", "Something other than an item stands in a sequence.")
            inner = bytearray()
            position = self._item(inner, position + 8, end, depth, length, explicit=explicit)
            out += _HEAD.pack(group, number, length if length == UNDEFINED_LENGTH else len(inner)) + inner
        if delimited:
            raise Malformed("structure", "A sequence does not end.")
        return position

    def _item(self, out: bytearray, position: int, end: int, depth: int, length: int, *, explicit: bool) -> int:
        delimited = length == UNDEFINED_LENGTH
        stop = end if delimited else position + length
        while position < stop:
            group, number, _ = self._mark(position, stop)
            if group << 16 | number == ITEM_DELIMITER and delimited:
                out += _HEAD.pack(group, number, 0)
                return position + 8
            one = self.element if explicit else self._implicit
            position = one(out, position, stop, depth)
        if delimited:
            raise Malformed("structure", "An item does not end.")
        return position
