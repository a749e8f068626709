"""How large a picture a codestream makes, read from its head without decoding.

Before a decoder may allocate anything, and to see whether a frame is what its data set says.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from streams.elements import content_end

# A JPEG may carry application data of 64 kB a marker before its frame header.
_MARKERS_MAX = 64
_JPEG_2000_HEAD_BYTES = 4096
_START_OF_IMAGE = b"\xff\xd8"
_START_OF_CODESTREAM_AND_SIZE = b"\xff\x4f\xff\x51"
_END = b"\xff\xd9"
_FILLINGS = b"\0\xff "
_TAIL_BYTES = 1 << 10
# The first box of a JP2 (ISO/IEC 15444-1 section I.5.1).
_JP2_SIGNATURE = b"\0\0\0\x0cjP  \r\n\x87\n"
# SOF0 to SOF15 without DHT, JPG and DAC (ISO/IEC 10918-1 table B.1), and SOF55 of JPEG-LS (ISO/IEC 14495-1).
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
# COD, and where its segment has the kind of wavelet (ISO/IEC 15444-1 tables A.12 to A.15).
_CODING_STYLE_DEFAULT, _TRANSFORMATION_AT = 0xFF52, 13
_APP0, _APP14 = 0xE0, 0xEE
_ADOBE: dict[int, Literal["RGB", "YCBCR"]] = {0: "RGB", 1: "YCBCR"}
_LOSSLESS_FRAME_HEADERS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})


@dataclass(frozen=True)
class Picture:
    """Pixels, samples of each pixel, and bits of each sample (of the first component)."""

    rows: int
    columns: int
    samples: int
    bits: int
    signed: bool = False
    lossless_jpeg: bool = False


def picture(data: bytes) -> Picture | None:
    """What the head of a JPEG, JPEG-LS, JPEG 2000 or HTJ2K codestream says; None where it cannot be read."""
    try:
        if data[:2] == _START_OF_IMAGE:
            return _jpeg(data)
        at = data.find(_START_OF_CODESTREAM_AND_SIZE, 0, _JPEG_2000_HEAD_BYTES)
        return _jpeg_2000(data, at + 4) if at >= 0 else None
    except (struct.error, IndexError):
        return None


def _jpeg(data: bytes) -> Picture | None:
    for marker, at in _segments(data):
        if marker in _FRAME_HEADERS:
            _, bits, rows, columns, samples = struct.unpack_from(">HBHHB", data, at)
            return Picture(rows, columns, samples, bits, lossless_jpeg=marker in _LOSSLESS_FRAME_HEADERS)
    return None


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """The markers of a JPEG's head, and where the length of each one's segment stands; to the first byte that is no
    marker. Raises struct.error, IndexError where the data ends before."""
    position = len(_START_OF_IMAGE)
    for _ in range(_MARKERS_MAX):
        while data[position] == 0xFF and data[position + 1] == 0xFF:
            position += 1  # Fill bytes (ISO/IEC 10918-1 section B.1.1.2).
        if data[position] != 0xFF:
            return
        yield data[position + 1], position + 2
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]


def colour_of(data: bytes) -> Literal["RGB", "YCBCR"] | None:
    """What the head of a JPEG says that its three components are; None where it says nothing.

    Adobe's marker says which (ITU-T T.872 section 6.5.3), JFIF has luminance and chroma alone (T.871), and components
    that are called R, G and B are those. Adobe's comes first: who puts it beside JFIF does so since it is RGB, as our
    importer does. JFIF holds against a header that says RGB, though PS3.5 section 8.2.1 has the header decide: such
    files are photographs that somebody wrapped, and luminance and chroma in truth.
    """
    jfif = False
    try:
        for marker, at in _segments(data):
            if marker in _FRAME_HEADERS:
                named_rgb = data[at + 8 : at + 17 : 3] == b"RGB"
                return "YCBCR" if jfif else "RGB" if named_rgb else None
            if marker == _APP14 and data[at + 2 : at + 7] == b"Adobe":
                return _ADOBE.get(data[at + 13])
            jfif = jfif or (marker == _APP0 and data[at + 2 : at + 7] == b"JFIF\0")
    except (struct.error, IndexError):
        pass
    return "YCBCR" if jfif else None


def _jpeg_2000(data: bytes, position: int) -> Picture:
    """The SIZ marker segment (ISO/IEC 15444-1 section A.5.1) whose length stands at `position`."""
    _, _, x, y, x_offset, y_offset = struct.unpack_from(">HHIIII", data, position)
    samples, depth = struct.unpack_from(">HB", data, position + 36)
    return Picture(y - y_offset, x - x_offset, samples, (depth & 0x7F) + 1, signed=bool(depth & 0x80))


def ends(data: bytes | memoryview) -> bool:
    """Whether the codestream of a JPEG, JPEG-LS, JPEG 2000 or HTJ2K has its end marker: no coded data has these bytes.

    Writers fill up what is behind it with zeros, ones or spaces, and a JP2 may have boxes there.
    """
    if _END in bytes(data[-_TAIL_BYTES:]):
        return True
    if bytes(data[: len(_JP2_SIGNATURE)]) == _JP2_SIGNATURE:
        whole = bytes(data)
        return whole.find(_END, whole.find(_START_OF_CODESTREAM_AND_SIZE)) >= 0
    end = content_end(data, _FILLINGS)
    return _END in bytes(data[max(0, end - _TAIL_BYTES) : end])


def is_irreversible(data: bytes) -> bool:
    """Whether a JPEG 2000 or HTJ2K codestream is coded with the wavelet that loses (ISO/IEC 15444-1 table A.20)."""
    position = data.find(_START_OF_CODESTREAM_AND_SIZE, 0, _JPEG_2000_HEAD_BYTES) + 2
    try:
        for _ in range(_MARKERS_MAX if position > 1 else 0):
            marker, length = struct.unpack_from(">HH", data, position)
            if marker == _CODING_STYLE_DEFAULT:
                return data[position + _TRANSFORMATION_AT] == 0
            position += 2 + length
    except (struct.error, IndexError):
        pass
    return False
