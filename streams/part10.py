"""A DICOM file, as far as tags and lengths go (PS3.10 section 7).

It is walked through once and nothing is copied; time and memory have a ceiling whatever the file says. The top level
is indexed, and sequences are walked through to see that they close where they should. In implicit VR only a dictionary
knows a sequence of defined length, so there it is one opaque value.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from streams.elements import (
    PIXEL_DATA_TAGS,
    VRS,
    Element,
    Encoding,
    Limits,
    Malformed,
    TooComplex,
    Walk,
)
from streams.mapped import File

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
# Deflated explicit VR little endian, JPIP referenced deflate, JPIP HTJ2K referenced deflate (PS3.5 annex A).
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})

TRANSFER_SYNTAX_UID = 0x00020010
_MAGIC_AT, _META_AT = 128, 132
_META = Encoding(explicit=True)
_META_BYTES_MAX = 64 << 10
_VALUE_BYTES_MAX = 1024
_INFLATED_BYTES = 256 << 10


@dataclass(frozen=True)
class Part10:
    """A file that was walked through.

    Offsets are into `data`, which is the file, or the inflated data set where that is deflated; the data set begins at
    `start`. `meta` holds the text of each element of group 0002. `oddities` are stable names of what is not as PS3.5
    wants it and yet readable: order, repeated, odd_length, vr, transfer_syntax.
    """

    data: File
    start: int
    encoding: Encoding
    meta: Mapping[int, str]
    elements: Mapping[int, Element]
    oddities: frozenset[str]

    @property
    def transfer_syntax_uid(self) -> str:
        return self.meta.get(TRANSFER_SYNTAX_UID, "")

    @property
    def pixel_data(self) -> Element | None:
        return next((self.elements[tag] for tag in PIXEL_DATA_TAGS if tag in self.elements), None)

    def value(self, element: Element) -> bytes:
        return self.data[element.value_at : element.end]

    def text(self, tag: int) -> str | None:
        """A short value without padding; None where it is absent or longer than 1 kB.

        Characters beyond ASCII come back as U+FFFD: this is for UIDs, codes and numbers, never for names.
        """
        element = self.elements.get(tag)
        if element is None or element.length > _VALUE_BYTES_MAX:
            return None
        return _text(self.value(element))

    def unsigned(self, tag: int) -> int | None:
        """The value of a US element; None where it is absent or not two bytes."""
        element = self.elements.get(tag)
        if element is None or element.length != 2:
            return None
        return int.from_bytes(self.value(element), self.encoding.byte_order)

    def integer(self, tag: int) -> int | None:
        """The value of an IS element (PS3.5 section 6.2); None where it is absent or not one whole number."""
        text = self.text(tag)
        if text is None or len(text) > 12:
            return None
        digits = text[1:] if text[:1] in ("+", "-") else text
        return int(text) if digits.isascii() and digits.isdecimal() else None


def read(data: File, limits: Limits = Limits()) -> Part10:  # noqa: B008 - it is frozen
    """Walks through a whole file.

    Raises Malformed where the structure does not hold, TooComplex where a limit is met first.
    """
    if data[_MAGIC_AT:_META_AT] != b"DICM":
        raise Malformed("not_part10", "It has no DICOM file header.")
    meta, start = file_meta(data)
    syntax = meta.get(TRANSFER_SYNTAX_UID, "")
    if not syntax:
        raise Malformed("not_part10", "Its file header names no transfer syntax.")
    if syntax in DEFLATED:
        data, start = _inflate(memoryview(data)[start:], limits.inflated_bytes), 0
    labelled = _labelled(syntax)
    actual = _actual(data, start, labelled)
    walk = Walk(data, actual, limits)
    walk.top(start, actual.explicit)
    if actual != labelled:
        walk.oddities.add("transfer_syntax")
    return Part10(data, start, actual, meta, walk.elements, frozenset(walk.oddities))


def beginning(data: File, limits: Limits = Limits()) -> Part10 | None:  # noqa: B008 - it is frozen
    """As much of a file as can be walked through, whether or not `data` is all of it; None where nothing can.

    For who looks at the first elements alone. What stands behind the break is as if it were absent.
    """
    try:
        meta, start = file_meta(data) if data[_MAGIC_AT:_META_AT] == b"DICM" else ({}, 0)
    except (Malformed, TooComplex):
        return None
    syntax = meta.get(TRANSFER_SYNTAX_UID, "")
    if not syntax:
        return None
    if syntax in DEFLATED:
        try:
            data, start = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], limits.inflated_bytes), 0
        except zlib.error:
            return None
    actual = _actual(data, start, _labelled(syntax))
    walk = Walk(data, actual, limits)
    with suppress(Malformed, TooComplex):
        walk.top(start, actual.explicit)
    return Part10(data, start, actual, meta, walk.elements, frozenset(walk.oddities))


def metadata_sha256(file: Part10) -> str:
    """SHA-256 (hex) of the data set without pixel data: the bytes of every other element, as and where they stand.

    Of a deflated data set, the inflated one. Neither preamble nor group 0002 is part of it. What is equal in another
    transfer syntax has another hash: it is other bytes.
    """
    digest, position, data = hashlib.sha256(), file.start, memoryview(file.data)
    pixels = sorted((file.elements[tag] for tag in PIXEL_DATA_TAGS if tag in file.elements), key=lambda one: one.at)
    for element in pixels:
        digest.update(data[position : element.at])
        position = element.end
    digest.update(data[position:])
    return digest.hexdigest()


def file_meta(data: File) -> tuple[dict[int, str], int]:
    """The elements of group 0002, and where the data set begins. The group's length is not to be relied on.

    Raises Malformed, TooComplex.
    """
    head = data[: _META_AT + _META_BYTES_MAX]
    walk = Walk(head, _META, Limits(elements=100))
    end = walk.group(_META_AT, 2)
    return {tag: _text(head[element.value_at : element.end]) for tag, element in walk.elements.items()}, end


def _inflate(deflated: memoryview, bytes_max: int) -> bytes:
    """Raw deflate (RFC 1951) within a budget."""
    try:
        length = _inflated_bytes(deflated, bytes_max)
        # With the length known it is written once, into memory of that size.
        return zlib.decompress(deflated, -zlib.MAX_WBITS, max(length, 1))
    except zlib.error:
        raise Malformed("deflate", "The deflated data set cannot be inflated.") from None


def _inflated_bytes(deflated: memoryview, bytes_max: int) -> int:
    """What it would take, found out in little memory. Raises Malformed, TooComplex, zlib.error."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    length, rest = 0, bytes(deflated[:_INFLATED_BYTES])
    at = len(rest)
    while not inflater.eof:
        part = inflater.decompress(rest, _INFLATED_BYTES)
        length += len(part)
        if length > bytes_max:
            raise TooComplex(f"The data set inflates to more than {bytes_max} bytes.", "inflated_bytes")
        rest = inflater.unconsumed_tail
        if not rest and not inflater.eof:
            rest = bytes(deflated[at : at + _INFLATED_BYTES])
            at += len(rest)
            if not rest and not part:
                raise Malformed("truncated", "The deflated data set does not end.")
    return length


def _labelled(transfer_syntax: str) -> Encoding:
    if transfer_syntax == EXPLICIT_VR_BIG_ENDIAN:
        return Encoding(explicit=True, byte_order="big")
    return Encoding(explicit=transfer_syntax != IMPLICIT_VR_LITTLE_ENDIAN)


def _actual(data: File, start: int, labelled: Encoding) -> Encoding:
    """The encoding that the first element shows: some files are not in the transfer syntax that they name."""
    head = data[start : start + 8]
    if len(head) < 8:
        return labelled
    vr = head[4:6]
    # In implicit VR these two bytes are half of a length: one that spells a VR would be of 16 kB or more.
    explicit = vr in VRS or (labelled.explicit and vr.isalpha() and vr.isupper())
    # A data set begins with a low group, nearly always 0008, and its high byte is 0.
    if head[1] == 0 and head[0] != 0:
        return Encoding(explicit, "little")
    if head[0] == 0 and head[1] != 0:
        return Encoding(explicit, "big")
    return Encoding(explicit, labelled.byte_order)


def _text(value: bytes) -> str:
    return value.decode("ascii", "replace").strip("\0 ")
