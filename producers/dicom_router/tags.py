"""A bounded reader of the first tags of a data set (PS3.5 chapter 7), for the ingest path.

It keeps the values of a few top-level elements, steps over everything else without recursion, and stops behind the
last tag it wants. Time and memory are bounded by its ceilings, whatever the input says. `streams.elements` is the walk
that validation does over the whole data set.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final

from streams.elements import ITEM, ITEM_DELIMITER, SEQUENCE_DELIMITER, SHORT_VRS, UNDEFINED_LENGTH, Encoding

ELEMENTS_MAX: Final = 20_000
DEPTH_MAX: Final = 32
VALUE_BYTES_MAX: Final = 16_384
# A header that needs more than this before (0028,0103) is not one that a scanner wrote.
INFLATED_BYTES_MAX: Final = 8 << 20


class Broken(Exception):
    """The bytes are not elements, or a ceiling was reached."""


def inflated(data: bytes | memoryview) -> bytes:
    """The beginning of a deflated data set (PS3.5 annex A.5), up to the ceiling; empty where it does not inflate."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, INFLATED_BYTES_MAX)
    except zlib.error:
        return b""


def scan(data: bytes | memoryview, encoding: Encoding, wanted: Collection[int]) -> Mapping[int, bytes]:
    """The values of the `wanted` top-level tags, as far as the bytes can be read. Never raises.

    Elements ascend (PS3.5 section 7.1), so nothing is looked for behind the highest wanted tag. Of a tag that stands
    there twice, the first counts. A value of more than VALUE_BYTES_MAX is left out. That of a sequence is its items, as
    `items` reads them.
    """
    reader = Reader(data, encoding)
    values: dict[int, bytes] = {}
    last = max(wanted)
    try:
        while reader.position < len(data):
            tag, length, implicit_inside = reader.head(encoding.explicit)
            if tag > last:
                break
            start = reader.position
            if length == UNDEFINED_LENGTH:
                reader.skip_undefined(implicit_inside)
            else:
                reader.take(length)
            if tag in wanted and reader.position - start <= VALUE_BYTES_MAX:
                values.setdefault(tag, bytes(data[start : reader.position]))
    except Broken:
        pass  # What was read up to here is all there is.
    return values


def items(value: bytes, encoding: Encoding, wanted: Collection[int]) -> list[Mapping[int, bytes]]:
    """The values of the `wanted` tags in each item of a sequence, as far as the bytes can be read. Never raises."""
    reader = Reader(value, encoding)
    found: list[Mapping[int, bytes]] = []
    with suppress(Broken):
        while reader.position < len(value):
            tag, length, _ = reader.head(explicit=False)
            if tag != ITEM:
                break
            start = reader.position
            if length == UNDEFINED_LENGTH:
                reader.skip_undefined(not encoding.explicit)
            else:
                reader.take(length)
            found.append(scan(value[start : reader.position], encoding, wanted))
    return found


class Reader:
    """Goes through elements. `position` is where the next byte is read."""

    def __init__(self, data: bytes | memoryview, encoding: Encoding, elements_max: int = ELEMENTS_MAX) -> None:
        self.position = 0
        self._elements_max = elements_max
        self._data = memoryview(data)
        self._elements = 0
        sign = "<" if encoding.byte_order == "little" else ">"
        self._explicit_head = struct.Struct(f"{sign}HH2sH").unpack_from
        self._implicit_head = struct.Struct(f"{sign}HHI").unpack_from
        self._long = struct.Struct(f"{sign}I").unpack_from

    def head(self, explicit: bool) -> tuple[int, int, bool]:
        """Tag and length of the next element, whose value comes next; whether what is nested in it is implicit VR.

        Raises Broken.
        """
        self._elements += 1
        if self._elements > self._elements_max:
            raise Broken
        at = self.position
        try:
            if explicit:
                group, number, vr, length = self._explicit_head(self._data, at)
                if vr in SHORT_VRS:
                    self.position = at + 8
                    return group << 16 | number, length, False
                if group != 0xFFFE and vr.isalpha() and vr.isupper():
                    self.position = at + 12
                    # What has VR UN and undefined length is implicit VR inside (PS3.5 section 6.2.2).
                    return group << 16 | number, self._long(self._data, at + 8)[0], vr == b"UN"
            if explicit and self._elements == 1:
                raise Broken  # Not in explicit VR at all.
            # Items and delimiters have no VR, nor have elements of writers that did not know one.
            group, number, length = self._implicit_head(self._data, at)
            self.position = at + 8
            return group << 16 | number, length, not explicit
        except struct.error:
            raise Broken from None

    def take(self, length: int) -> memoryview:
        """The next bytes. Raises Broken where there are not so many."""
        start, end = self.position, self.position + length
        if end > len(self._data):
            raise Broken
        self.position = end
        return self._data[start:end]

    def skip_undefined(self, implicit: bool) -> None:
        """Steps over a sequence of undefined length and all that is open in it (PS3.5 section 7.5).

        `parts` has an entry for each open sequence and item: whether what stands in it is in implicit VR.
        Raises Broken.
        """
        parts = [implicit]
        while parts:
            if len(parts) > DEPTH_MAX:
                raise Broken
            tag, length, implicit_inside = self.head(explicit=not parts[-1])
            if tag in (ITEM_DELIMITER, SEQUENCE_DELIMITER):
                parts.pop()
            elif length == UNDEFINED_LENGTH:
                parts.append(parts[-1] or (tag != ITEM and implicit_inside))
            else:
                self.take(length)
