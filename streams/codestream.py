"""How large a picture a codestream makes, read from its head without decoding.

Before a decoder may allocate anything, and to see whether a frame is what its data set says.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

# A JPEG may carry application data of 64 kB a marker before its frame header.
_MARKERS_MAX = 64
_JPEG_2000_HEAD_BYTES = 4096
_START_OF_IMAGE = b"\xff\xd8"
_START_OF_CODESTREAM_AND_SIZE = b"\xff\x4f\xff\x51"
# SOF0 to SOF15 without DHT, JPG and DAC (ISO/IEC 10918-1 table B.1), and SOF55 of JPEG-LS (ISO/IEC 14495-1).
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
# COD, and where its segment has the kind of wavelet (ISO/IEC 15444-1 tables A.12 to A.15).
_CODING_STYLE_DEFAULT, _TRANSFORMATION_AT = 0xFF52, 13
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
    position = 2
    for _ in range(_MARKERS_MAX):
        while data[position] == 0xFF and data[position + 1] == 0xFF:
            position += 1  # Fill bytes (ISO/IEC 10918-1 section B.1.1.2).
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker in _FRAME_HEADERS:
            _, bits, rows, columns, samples = struct.unpack_from(">HBHHB", data, position + 2)
            return Picture(rows, columns, samples, bits, lossless_jpeg=marker in _LOSSLESS_FRAME_HEADERS)
        position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    return None


def _jpeg_2000(data: bytes, position: int) -> Picture:
    """The SIZ marker segment (ISO/IEC 15444-1 section A.5.1) whose length stands at `position`."""
    _, _, x, y, x_offset, y_offset = struct.unpack_from(">HHIIII", data, position)
    samples, depth = struct.unpack_from(">HB", data, position + 36)
    return Picture(y - y_offset, x - x_offset, samples, (depth & 0x7F) + 1, signed=bool(depth & 0x80))


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
