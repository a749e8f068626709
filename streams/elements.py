"""A bounded walk over DICOM data elements: tags, VRs and lengths, never values (PS3.5 section 7)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

import msgspec

from streams.mapped import File

UNDEFINED_LENGTH = 0xFFFFFFFF
ITEM = 0xFFFEE000
ITEM_DELIMITER = 0xFFFEE00D
SEQUENCE_DELIMITER = 0xFFFEE0DD
PIXEL_DATA = 0x7FE00010
# Float, double float and integer pixel data: at most one of them is in a data set (PS3.3 section C.7.6.24).
PIXEL_DATA_TAGS = (PIXEL_DATA, 0x7FE00008, 0x7FE00009)

# PS3.5 table 7.1-2: these have a 16-bit length, all others, future ones too, a 32-bit length after two reserved bytes.
SHORT_VRS = frozenset(b"AE AS AT CS DA DS DT FL FD IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
VRS = SHORT_VRS | LONG_VRS
# The most that anybody reads (docs/decisions/0078).
ELEMENTS_MAX, DEPTH_MAX, INFLATED_BYTES_MAX = 20_000_000, 200, 256 << 20
# Of a tag: one zero may be the beginning of a big-endian one.
_GROUP_BYTES = 2
_BLOCK_BYTES = 64 << 10


class Malformed(Exception):
    """The structure does not hold. `code` is a stable name; the text has no value of the file in it."""

    def __init__(self, code: Literal["not_part10", "structure", "truncated", "deflate"], text: str) -> None:
        super().__init__(text)
        self.code = code


class TooComplex(Exception):
    """A limit was met before the end: the one of `Limits` that `limit` names."""

    def __init__(self, text: str, limit: Literal["elements", "top_level", "depth", "inflated_bytes"]) -> None:
        super().__init__(text)
        self.limit = limit


@dataclass(frozen=True)
class Limits:
    """What one file may cost. `elements` are those at every level, `top_level` those that are indexed.

    As it is here it is for who reads what validate has let through, or a person has: no walk behind validate refuses
    what a site's limits allow, which are at most these (`consumers.validate.config`, docs/decisions/0078). What writes
    a data set in another VR, or as JSON, goes less deep. A level of `depth` is three calls of Python's thousand.
    """

    elements: int = ELEMENTS_MAX
    top_level: int = 20_000
    depth: int = DEPTH_MAX
    inflated_bytes: int = INFLATED_BYTES_MAX


@dataclass(frozen=True)
class Encoding:
    """How elements are written: PS3.5 annex A."""

    explicit: bool
    byte_order: Literal["little", "big"] = "little"


class Element(msgspec.Struct, frozen=True, gc=False):
    """One element of the top level: there are some dozens in every file, so it is of the kind that is made soonest.

    `at` is the first byte of its tag, `value_at` that of its value, `end` the byte after the value and, where the
    length is undefined, after the delimiter. `vr` is empty where the data set does not say one. `truncated` marks pixel
    data that the file ends within.
    """

    tag: int
    vr: str
    at: int
    value_at: int
    end: int
    undefined_length: bool = False
    truncated: bool = False

    @property
    def length(self) -> int:
        return self.end - self.value_at


def content_end(data: File | memoryview, filling: bytes) -> int:
    """The byte after the last one of `data` that is not of `filling`. From behind and in blocks: little is copied."""
    end = len(data)
    while end:
        start = max(0, end - _BLOCK_BYTES)
        if left := bytes(data[start:end]).rstrip(filling):
            return start + len(left)
        end = start
    return 0


class Walk:
    """One walk through one data set. `elements` and `oddities` are what was found."""

    def __init__(self, data: File, encoding: Encoding, limits: Limits) -> None:
        self.elements: dict[int, Element] = {}
        self.oddities: set[str] = set()
        self._data = data
        self._limits = limits
        self._count = 0
        # Which element was the last of an unknown value representation, and where zeros to the end begin, once asked.
        self._unknown_vr_at = -1
        self._content_end: int | None = None
        sign = "<" if encoding.byte_order == "little" else ">"
        self._tag = struct.Struct(f"{sign}HH").unpack_from
        self._long = struct.Struct(f"{sign}I").unpack_from
        self._explicit_head = struct.Struct(f"{sign}HH2sH").unpack_from
        self._implicit_head = struct.Struct(f"{sign}HHI").unpack_from

    def top(self, start: int, explicit: bool) -> None:
        """Indexes the top level from `start` to the end of the data. Raises Malformed, TooComplex."""
        position, end, previous = start, len(self._data), -1
        while position < end:
            # Asked of zeros alone: there may be millions of elements.
            if not self._data[position] and self.elements and self._is_filling(position, end):
                self.oddities.add("trailing_zeros")
                break
            tag, vr, value_at, length = self._head(position, end, explicit)
            if tag >> 16 == 0xFFFE:
                raise Malformed("structure", "An item or delimiter stands outside any sequence.")
            if tag <= previous:
                self.oddities.add("repeated" if tag == previous else "order")
            previous = max(previous, tag)
            if len(self.elements) >= self._limits.top_level:
                most = self._limits.top_level
                raise TooComplex(f"There are more than {most} data elements at the top level.", "top_level")
            after, truncated = self._skip(tag, vr, value_at, length, end, explicit, 0)
            undefined = length == UNDEFINED_LENGTH
            # The first of two equal tags counts, as for most readers; the file is flagged all the same.
            if tag not in self.elements:
                vr_said = vr.decode("latin-1")
                self.elements[tag] = Element(tag, vr_said, position, value_at, after, undefined, truncated)
            position = after

    def _is_filling(self, position: int, end: int) -> bool:
        """Whether nothing but zeros is left, as of files that were filled up to a block: no element is of group 0."""
        if end - position < _GROUP_BYTES or any(self._data[position : position + _GROUP_BYTES]):
            return False
        if self._content_end is None:
            self._content_end = content_end(self._data, b"\0")
        return position >= self._content_end

    def group(self, start: int, group: int) -> int:
        """Indexes the elements of one group from `start` on, in explicit VR; where the next group begins."""
        position, end = start, len(self._data)
        while position < end:
            tag, vr, value_at, length = self._head(position, end, True)
            if tag >> 16 != group:
                break
            after, _ = self._skip(tag, vr, value_at, length, end, True, 0)
            self.elements.setdefault(tag, Element(tag, vr.decode("latin-1"), position, value_at, after))
            position = after
        return position

    def item_end(self, start: int, explicit: bool) -> int:
        """The byte after an item of undefined length, its first element at `start`. Raises Malformed, TooComplex."""
        return self._item(start, len(self._data), explicit, 1, delimited=True)

    def _head(self, position: int, end: int, explicit: bool) -> tuple[int, bytes, int, int]:
        """Tag, VR (empty where none is said), first byte and length of the value of the element at `position`."""
        self._count += 1
        if self._count > self._limits.elements:
            raise self._too_many()
        if position + 8 > end:
            raise self._short(end, "The data ends within the head of an element.")
        if not explicit:
            group, element, length = self._implicit_head(self._data, position)
            return group << 16 | element, b"", position + 8, length
        group, element, vr, length = self._explicit_head(self._data, position)
        tag = group << 16 | element
        if vr in SHORT_VRS:
            return tag, vr, position + 8, length
        if group == 0xFFFE:
            return tag, b"", position + 8, self._long(self._data, position + 4)[0]
        if not (vr.isalpha() and vr.isupper()):
            # Some writers fall back to the implicit form for an element that they do not know.
            self._says_unknown_vr()
            return tag, b"", position + 8, self._long(self._data, position + 4)[0]
        if vr not in LONG_VRS:
            self._says_unknown_vr()
        if position + 12 > end:
            raise self._short(end, "The data ends within the head of an element.")
        return tag, vr, position + 12, self._long(self._data, position + 8)[0]

    def _skip(
        self, tag: int, vr: bytes, value_at: int, length: int, end: int, explicit: bool, depth: int
    ) -> tuple[int, bool]:
        """The byte after an element, and whether the file ends within it (which only pixel data may)."""
        if length == UNDEFINED_LENGTH:
            # An icon image may be encapsulated too, deep in a sequence.
            if vr in (b"OB", b"OW") or tag in PIXEL_DATA_TAGS:
                return self._fragments(value_at, end, cut_allowed=depth == 0 and tag in PIXEL_DATA_TAGS)
            # PS3.5 section 6.2.2: what has VR UN and undefined length is in implicit VR little endian.
            return self._items(value_at, end, explicit and vr != b"UN", depth + 1, delimited=True), False
        after = value_at + length
        if after > end:
            if tag in PIXEL_DATA_TAGS and depth == 0:
                return end, True
            raise self._short(end, "An element is longer than what holds it.")
        if vr == b"SQ":
            self._items(value_at, after, explicit, depth + 1, delimited=False)
        elif length & 1:
            self.oddities.add("odd_length")
        return after, False

    def _items(self, position: int, end: int, explicit: bool, depth: int, *, delimited: bool) -> int:
        """Walks through a sequence's items; the byte after the sequence."""
        if depth > self._limits.depth:
            raise TooComplex(f"Sequences are nested more than {self._limits.depth} deep.", "depth")
        while position < end:
            tag, _, value_at, length = self._head(position, end, False)
            if tag == SEQUENCE_DELIMITER and delimited:
                return value_at
            if tag != ITEM:
                raise Malformed("structure", "Something other than an item stands in a sequence.")
            if length == UNDEFINED_LENGTH:
                position = self._item(value_at, end, explicit, depth, delimited=True)
            elif value_at + length > end:
                raise self._short(end, "An item is longer than its sequence.")
            else:
                position = self._item(value_at, value_at + length, explicit, depth, delimited=False)
        if delimited:
            raise self._short(end, "A sequence does not end.")
        return position

    def _item(self, position: int, end: int, explicit: bool, depth: int, *, delimited: bool) -> int:
        while position < end:
            tag, vr, value_at, length = self._head(position, end, explicit)
            if tag == ITEM_DELIMITER and delimited:
                return value_at
            if tag >> 16 == 0xFFFE:
                raise Malformed("structure", "A delimiter stands where an element should.")
            position, _ = self._skip(tag, vr, value_at, length, end, explicit, depth)
        if delimited:
            raise self._short(end, "An item does not end.")
        return position

    def _fragments(self, position: int, end: int, *, cut_allowed: bool) -> tuple[int, bool]:
        """Walks through encapsulated pixel data (PS3.5 annex A.4); the byte after it, and whether it is cut short."""
        data, head, most = self._data, self._implicit_head, self._limits.elements
        while position + 8 <= end:
            # As `_head` has it, without a call for each: there may be half a million that hold nothing.
            self._count += 1
            if self._count > most:
                raise self._too_many()
            group, element, length = head(data, position)
            position += 8
            tag = group << 16 | element
            if tag == SEQUENCE_DELIMITER:
                return position, False
            if tag != ITEM or length == UNDEFINED_LENGTH:
                raise Malformed("structure", "Something other than a fragment stands in encapsulated pixel data.")
            position += length
        if not cut_allowed:
            raise self._short(end, "Encapsulated pixel data does not end.")
        return end, True

    def _too_many(self) -> TooComplex:
        return TooComplex(f"There are more than {self._limits.elements} data elements.", "elements")

    def _says_unknown_vr(self) -> None:
        self.oddities.add("vr")
        self._unknown_vr_at = self._count

    def _short(self, end: int, text: str) -> Malformed:
        """Too few bytes: the file was cut, or, inside something that ends before the file does, a length is wrong.

        Right behind an unknown value representation nobody can tell, as it decides how long a length is. Where elements
        went on behind it, it was read as it was written.
        """
        if self._unknown_vr_at >= self._count - 1:
            return Malformed("structure", "An element's value representation does not exist, so what follows is lost.")
        return Malformed("truncated" if end == len(self._data) else "structure", text)
