"""The file around the pixels, for a copy in another transfer syntax (explicit VR little endian)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from streams.part10 import TRANSFER_SYNTAX_UID, Part10
from streams.recoding.around import short

_GROUP_2_VRS = {0x00020002: b"UI", 0x00020003: b"UI", TRANSFER_SYNTAX_UID: b"UI", 0x00020012: b"UI", 0x00020013: b"SH"}
EXTENDED_OFFSETS, EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002
# A basic offset table has offsets of 32 bits (PS3.5 annex A.4).
BASIC_OFFSET_MAX = 0xFFFFFFFF


def file_meta(file: Part10, transfer_syntax: str) -> bytes:
    """Preamble and group 0002 (PS3.10 section 7.1): the source's own, with another transfer syntax."""
    texts = {**file.meta, TRANSFER_SYNTAX_UID: transfer_syntax}
    version = struct.pack("<HH2s2xI", 2, 1, b"OB", 2) + b"\0\1"
    group = version + b"".join(
        short(tag, vr, texts[tag].encode("ascii", "replace")) for tag, vr in _GROUP_2_VRS.items() if tag in texts
    )
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(group)) + group


@dataclass(frozen=True)
class PixelData:
    """The element in pieces, and offset and length of each codestream in it.

    `offsets` are of the fragments' items, from the first one, as an offset table has them. `is_basic`: the element has
    them itself.
    """

    chunks: Sequence[bytes]
    places: Sequence[tuple[int, int]]
    offsets: Sequence[int]
    is_basic: bool


def pixel_data(codestreams: Sequence[bytes], basic_offset_max: int = BASIC_OFFSET_MAX) -> PixelData:
    """Encapsulated pixel data, a frame in one fragment each (PS3.5 annex A.4)."""
    offsets, position = [], 0
    for one in codestreams:
        offsets.append(position)
        position += 8 + len(one) + len(one) % 2
    is_basic = offsets[-1] <= basic_offset_max
    table = struct.pack(f"<{len(offsets)}I", *offsets) if is_basic else b""
    head = struct.pack("<HH2s2xIHHI", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF, 0xFFFE, 0xE000, len(table)) + table
    chunks = [head]
    for one in codestreams:
        chunks += [struct.pack("<HHI", 0xFFFE, 0xE000, len(one) + len(one) % 2), one, b"\0" * (len(one) % 2)]
    chunks.append(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
    first = len(head) + 8
    places = [(first + offset, len(one)) for offset, one in zip(offsets, codestreams, strict=True)]
    return PixelData(chunks, places, offsets, is_basic)


def offset_tables(pixels: PixelData) -> dict[int, bytes]:
    """The extended offset table (PS3.3 section C.7.6.3.1.8): where there is no basic one. Those received are taken out.

    Its lengths are those of the fragments, with the byte that may pad them, as pydicom writes and expects them.
    """
    if pixels.is_basic:
        return {EXTENDED_OFFSETS: b"", EXTENDED_LENGTHS: b""}
    lengths = [length + length % 2 for _, length in pixels.places]
    return {
        tag: struct.pack(f"<HH2s2xI{len(values)}Q", tag >> 16, tag & 0xFFFF, b"OV", 8 * len(values), *values)
        for tag, values in ((EXTENDED_OFFSETS, pixels.offsets), (EXTENDED_LENGTHS, lengths))
    }
