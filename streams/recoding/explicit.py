"""Implicit VR little endian, written anew in explicit VR little endian (PS3.5 annexes A.1 and A.2).

Every value keeps its bytes: only the heads of elements change. What the dictionary does not know becomes UN, which may
hold a sequence in implicit VR as it is (PS3.5 section 6.2.2).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

from pydicom.datadict import dictionary_VR

from streams.elements import (
    ITEM,
    ITEM_DELIMITER,
    SEQUENCE_DELIMITER,
    SHORT_VRS,
    UNDEFINED_LENGTH,
    Element,
    Malformed,
    TooComplex,
)
from streams.mapped import File
from streams.part10 import Part10
from streams.pixels.image import BITS_ALLOCATED, BITS_STORED
from streams.rendering.modality import gives_signed, modality
from streams.rendering.scopes import Scopes
from streams.rendering.voi import VOI_LUT

_DEPTH_MAX = 64
_SHORT_LENGTH_MAX = 0xFFFF
_HEAD = struct.Struct("<HHI")
_SHORT = struct.Struct("<HH2sH")
_LONG = struct.Struct("<HH2s2xI")
_PIXEL_REPRESENTATION = 0x00280103
# Whoever says more, or nothing, has no pixels that are read.
_BITS_MAX = 64


@dataclass(frozen=True)
class Signs:
    """What decides between US and SS: `pixels` is the data set's pixel representation, `of_interest` the sign of what
    its modality stage gives, which counts in VOI LUT sequences."""

    pixels: bool
    of_interest: bool


def signs_of(file: Part10) -> Signs:
    """Of an image with many frames the first one's modality stage counts."""
    signed = file.unsigned(_PIXEL_REPRESENTATION) == 1
    first = modality(Scopes(file), 0, signed=signed, notes=set())
    bits = min(file.unsigned(BITS_STORED) or file.unsigned(BITS_ALLOCATED) or _BITS_MAX, _BITS_MAX)
    return Signs(signed, gives_signed(first, bits=bits, signed=signed))


def converted(data: File, element: Element, signs: Signs) -> bytes:
    """One element of the top level, with what it holds. Raises Malformed, TooComplex."""
    out = bytearray()
    _Converter(data, signs).element(out, element.at, element.end, signs.pixels, 0)
    return bytes(out)


class _Converter:
    def __init__(self, data: File, signs: Signs) -> None:
        self._data, self._signs = data, signs

    def element(self, out: bytearray, position: int, end: int, signed: bool, depth: int) -> int:
        """Appends the element at `position`; the byte after it."""
        group, number, length, value_at = self._head(position, end)
        tag = group << 16 | number
        vr = vr_of(tag, signed)
        if tag == VOI_LUT:
            signed = self._signs.of_interest
        if length == UNDEFINED_LENGTH:
            inner = bytearray()
            after = self._items(inner, value_at, end, signed, depth + 1, delimited=True)
            out += _LONG.pack(group, number, b"SQ" if vr == b"SQ" else b"UN", UNDEFINED_LENGTH)
            out += inner if vr == b"SQ" else self._data[value_at:after]
            return after
        after = value_at + length
        if after > end:
            raise Malformed("structure", "An element is longer than what holds it.")
        if vr == b"SQ":
            inner = bytearray()
            self._items(inner, value_at, after, signed, depth + 1, delimited=False)
            out += _LONG.pack(group, number, vr, len(inner)) + inner
        elif vr in SHORT_VRS and length <= _SHORT_LENGTH_MAX:
            out += _SHORT.pack(group, number, vr, length) + self._data[value_at:after]
        else:
            out += _LONG.pack(group, number, b"UN" if vr in SHORT_VRS else vr, length) + self._data[value_at:after]
        return after

    def _head(self, position: int, end: int) -> tuple[int, int, int, int]:
        if position + _HEAD.size > end:
            raise Malformed("structure", "The data ends within the head of an element.")
        return *_HEAD.unpack_from(self._data, position), position + _HEAD.size

    def _items(self, out: bytearray, position: int, end: int, signed: bool, depth: int, *, delimited: bool) -> int:
        if depth > _DEPTH_MAX:
            raise TooComplex(f"Sequences are nested more than {_DEPTH_MAX} deep.", "depth")
        while position < end:
            group, number, length, value_at = self._head(position, end)
            tag = group << 16 | number
            if tag == SEQUENCE_DELIMITER and delimited:
                out += _HEAD.pack(group, number, 0)
                return value_at
            if tag != ITEM or (length != UNDEFINED_LENGTH and value_at + length > end):
                raise Malformed("structure", "Something other than an item stands in a sequence.")
            inner = bytearray()
            position = self._item(inner, value_at, end, signed, depth, length)
            out += _HEAD.pack(group, number, length if length == UNDEFINED_LENGTH else len(inner)) + inner
        if delimited:
            raise Malformed("structure", "A sequence does not end.")
        return position

    def _item(self, out: bytearray, position: int, end: int, signed: bool, depth: int, length: int) -> int:
        delimited = length == UNDEFINED_LENGTH
        stop = end if delimited else position + length
        while position < stop:
            group, number, size, value_at = self._head(position, stop)
            tag = group << 16 | number
            if tag == ITEM_DELIMITER and delimited:
                out += _HEAD.pack(group, number, 0)
                return value_at
            if tag == _PIXEL_REPRESENTATION and size == 2:
                # An icon has a pixel representation of its own.
                signed = self._data[value_at : value_at + 2] == b"\x01\x00"
            position = self.element(out, position, stop, signed, depth)
        if delimited:
            raise Malformed("structure", "An item does not end.")
        return position


@lru_cache(maxsize=8192)
def vr_of(tag: int, signed: bool) -> bytes:
    """The VR that the dictionary has (PS3.6), the choice between several made as PS3.5 annex A.1 and A.2 say."""
    group, number = tag >> 16, tag & 0xFFFF
    if number == 0:
        return b"UL"
    if group % 2:
        return b"LO" if 0x10 <= number <= 0xFF else b"UN"
    try:
        known = dictionary_VR(tag)
    except KeyError:
        return b"UN"
    if "OW" in known:
        return b"OW"
    if known == "US or SS":
        return b"SS" if signed else b"US"
    return str(known).encode()
