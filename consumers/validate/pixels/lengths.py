"""Is the pixel data as long as the header says, and does it hold together? (PS3.5 sections 8 and A.4)

Lengths and heads only: no pixel is decoded here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consumers.validate.rule import Broken
from streams.codestream import picture
from streams.elements import PIXEL_DATA, Element
from streams.encapsulated import Encapsulated
from streams.part10 import (
    DEFLATED,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Part10,
)
from streams.pixels.image import VIDEO

SAMPLES, PHOTOMETRIC, FRAMES = 0x00280002, 0x00280004, 0x00280008
ROWS, COLUMNS, BITS_ALLOCATED = 0x00280010, 0x00280011, 0x00280100
NATIVE = DEFLATED | {IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN}
# The head of an empty offset table, and the delimiter.
_ITEMS_BYTES_MIN = 16


@dataclass(frozen=True)
class Shape:
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    frames: int
    photometric: str

    @property
    def native_bytes(self) -> int:
        """Bytes of native pixel data without its pad byte (PS3.5 section 8.1.1, PS3.3 section C.7.6.3.1.2)."""
        bits = self.rows * self.columns * self.samples * self.frames * self.bits_allocated
        if self.samples == 3 and self.photometric in ("YBR_FULL_422", "YBR_PARTIAL_422"):
            bits = bits * 2 // 3
        elif self.samples == 3 and self.photometric == "YBR_PARTIAL_420":
            bits //= 2
        return (bits + 7) // 8


def check(file: Part10, items: Encapsulated | None, *, is_image: bool) -> Iterator[Broken]:
    """Names of the rules that lengths and heads break, with a tag where the rule leaves it open."""
    element = file.pixel_data
    if element is None:
        if is_image:
            yield "pixel_data_missing", None
        return
    illegal = tuple(_illegal(file))
    if illegal:
        yield from (("pixel_header", tag) for tag in illegal)
        return
    if file.transfer_syntax_uid in NATIVE and element.undefined_length:
        yield "pixel_encoding", None
    elif element.undefined_length:
        yield from _encapsulated(file, element, items, shape(file))
    elif file.transfer_syntax_uid not in NATIVE:
        yield "pixel_encoding", None
    else:
        yield from _native(element, shape(file))


def shape(file: Part10) -> Shape:
    return Shape(
        rows=file.unsigned(ROWS) or 0,
        columns=file.unsigned(COLUMNS) or 0,
        samples=file.unsigned(SAMPLES) or 0,
        bits_allocated=file.unsigned(BITS_ALLOCATED) or 0,
        frames=1 if _empty(file, FRAMES) else file.integer(FRAMES) or 0,
        photometric=file.text(PHOTOMETRIC) or "",
    )


def _illegal(file: Part10) -> Iterator[int]:
    """Tags without whose value nothing can be said of the pixels."""
    for tag in (SAMPLES, ROWS, COLUMNS, BITS_ALLOCATED):
        if not file.unsigned(tag):
            yield tag
    if not file.text(PHOTOMETRIC):
        yield PHOTOMETRIC
    if not _empty(file, FRAMES) and (file.integer(FRAMES) or 0) < 1:
        yield FRAMES


def _empty(file: Part10, tag: int) -> bool:
    return tag not in file.elements or file.elements[tag].length == 0


def _native(element: Element, expected: Shape) -> Iterator[Broken]:
    needed = expected.native_bytes
    if element.truncated or element.length < needed:
        yield "pixel_length", None
    elif element.length > needed + (needed & 1):
        yield "pixel_length_excess", None


def _encapsulated(file: Part10, element: Element, found: Encapsulated | None, expected: Shape) -> Iterator[Broken]:
    if found is None or element.truncated or element.length < _ITEMS_BYTES_MIN:
        yield "pixel_length", None
        return
    is_video = file.transfer_syntax_uid.startswith(VIDEO)
    if len(found.fragments) < (1 if is_video else expected.frames):
        yield "frames", None
    if found.fragments and element.tag == PIXEL_DATA:
        first = found.fragments[0]
        yield from _codestream(file.data[first.at : first.at + first.length], expected)


def _codestream(fragment: bytes, expected: Shape) -> Iterator[Broken]:
    head = picture(fragment)
    if head is not None and (head.rows, head.columns, head.samples) != (
        expected.rows,
        expected.columns,
        expected.samples,
    ):
        yield "codestream", None
