"""A data set with native pixels, in explicit or implicit VR little endian, from whatever holds them without a loss.

Pixels that arrived lossy are not touched: they would be decoded once more, and larger, and look like originals.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streams.elements import LONG_VRS, PIXEL_DATA, Malformed, TooComplex
from streams.part10 import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Part10,
)
from streams.pixels.codecs import JPEG_LOSSY, LOSSLESS, Undecodable
from streams.pixels.frames import Frames
from streams.pixels.image import PHOTOMETRIC, PLANAR, RLE_LOSSLESS, Image, describe
from streams.recoding import implicit
from streams.recoding.around import Unconvertible, around_pixels, short

# Every peer that takes a SOP class has to take the first (PS3.5 section 10.1); the second says its VRs.
TARGETS = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)

_DEFLATED = "1.2.840.10008.1.2.1.99"
_NATIVE = frozenset({*TARGETS, EXPLICIT_VR_BIG_ENDIAN, _DEFLATED})
_ENCAPSULATED = frozenset(
    f"1.2.840.10008.1.2.4.{number}" for number in ("57", "70", "80", "90", "201", "202")
) & LOSSLESS | {RLE_LOSSLESS}
SOURCES = _NATIVE | _ENCAPSULATED

# Of codestreams, indexes by frame that only encapsulated pixels have (PS3.3 section C.7.6.3).
_OFFSET_TABLES = (0x7FE00001, 0x7FE00002)
# What a decoder gives as it was coded; YBR_RCT comes back as the RGB that it was made of.
_AS_CODED = frozenset({"RGB", "YBR_FULL", "YBR_RCT"})
_PIXEL_BYTES_LIMIT = 0xFFFFFFFE


class Unrecodable(Exception):
    """There is no such data set. The text is a stable name of why."""


@dataclass(frozen=True)
class _Pixels:
    """The pixel data element: its VR where it is explicit, and its value in parts, which are not put together here."""

    vr: bytes
    parts: Sequence[bytes | memoryview]

    def element(self, target: str) -> list[bytes | memoryview]:
        length, group, number = sum(map(len, self.parts)), PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF
        if target == IMPLICIT_VR_LITTLE_ENDIAN:
            return [struct.pack("<HHI", group, number, length), *self.parts]
        return [struct.pack("<HH2s2xI", group, number, self.vr, length), *self.parts]


def recoded(file: Part10, target: str, *, frame_bytes_max: int, pixel_bytes_max: int) -> bytes:
    """The data set in `target`, one of TARGETS. Raises Unrecodable.

    Every element has the value that it had; those of the pixels' encoding say how they are now.
    """
    return b"".join(parts_of(file, target, frame_bytes_max=frame_bytes_max, pixel_bytes_max=pixel_bytes_max))


def parts_of(file: Part10, target: str, *, frame_bytes_max: int, pixel_bytes_max: int) -> Sequence[bytes | memoryview]:
    """The same, one behind the other: native pixels of gigabytes are where they were. Raises Unrecodable."""
    if file.oddities - {"odd_length", "transfer_syntax"}:
        raise Unrecodable("irregular_elements")
    try:
        before, pixels, behind = _explicit(file, frame_bytes_max, pixel_bytes_max)
        if target == IMPLICIT_VR_LITTLE_ENDIAN:
            before, behind = implicit.converted(before), implicit.converted(behind)
        return before, *(() if pixels is None else pixels.element(target)), behind
    except Undecodable:
        raise Unrecodable("undecodable") from None
    except (Malformed, TooComplex, Unconvertible):
        raise Unrecodable("unconvertible") from None


def _explicit(file: Part10, frame_bytes_max: int, pixel_bytes_max: int) -> tuple[bytes, _Pixels | None, bytes]:
    """What is before the pixel data in explicit VR, the pixel data, and what is behind it."""
    if file.transfer_syntax_uid not in SOURCES:
        raise Unrecodable("arrived_lossy" if file.pixel_data is not None else "unconvertible")
    is_big = file.encoding.byte_order == "big"
    if file.transfer_syntax_uid in _NATIVE and not is_big:
        return _as_it_is(file)
    if file.pixel_data is None:
        before, behind = around_pixels(file, {})
        return before, None, behind
    image = describe(file, frame_bytes_max)
    if isinstance(image, str):
        raise Unrecodable(image)
    _check(image, pixel_bytes_max)
    replaced = dict.fromkeys(_OFFSET_TABLES, b"") | _pixel_header(image)
    before, behind = around_pixels(file, replaced)
    # An icon may be encapsulated as well, deep in a sequence: then there is no native form of the whole.
    implicit.converted(before)
    implicit.converted(behind)
    return before, _Pixels(b"OW", _frames(Frames(file, image), image)), behind


def _as_it_is(file: Part10) -> tuple[bytes, _Pixels | None, bytes]:
    """Of a little endian data set with native pixels, which no transfer syntax of TARGETS changes."""
    if any(element.truncated for tag, element in file.elements.items() if tag & 0xFFFF):
        raise Unrecodable("pixel_data_truncated")
    before, behind = around_pixels(file, {})
    native = file.elements.get(PIXEL_DATA)
    if native is None:
        return before, None, behind
    if native.undefined_length:
        raise Unrecodable("unconvertible")
    vr, value = native.vr.encode("ascii"), memoryview(file.data)[native.value_at : native.end]
    return before, _Pixels(vr if vr in LONG_VRS else b"OW", [value]), behind


def _check(image: Image, pixel_bytes_max: int) -> None:
    if image.frame_bytes * image.frames > min(pixel_bytes_max, _PIXEL_BYTES_LIMIT):
        raise Unrecodable("too_large")
    # Lossy JPEG's decoder turns colour that is not RGB into RGB, which rounds.
    is_rounded = image.transfer_syntax_uid in JPEG_LOSSY and image.photometric != "RGB"
    if image.samples == 3 and (is_rounded or image.photometric not in _AS_CODED):
        raise Unrecodable("unsupported_pixels")
    if image.bits_allocated not in (8, 16, 32):
        raise Unrecodable("unsupported_pixels")


def _pixel_header(image: Image) -> dict[int, bytes]:
    """Colour comes by pixel, and what was decorrelated for the codestream is RGB again (PS3.5 annex A.4)."""
    if image.samples == 1:
        return {}
    planar = {PLANAR: short(PLANAR, b"US", b"\0\0")}
    return planar | ({PHOTOMETRIC: short(PHOTOMETRIC, b"CS", b"RGB")} if image.photometric == "YBR_RCT" else {})


def _frames(frames: Frames, image: Image) -> list[bytes | memoryview]:
    """Every frame, padded to an even length (PS3.5 section 8.1)."""
    out: list[bytes | memoryview] = []
    for index in range(image.frames):
        frame = frames.frame(index)
        pixels = np.ascontiguousarray(frame, image.dtype.newbyteorder("<"))
        if frame.dtype.itemsize > pixels.dtype.itemsize and not np.array_equal(frame, pixels):
            raise Unrecodable("unsupported_pixels")
        out.append(pixels.tobytes())
    out.append(b"\0" * (sum(map(len, out)) % 2))
    return out
