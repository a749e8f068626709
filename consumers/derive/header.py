"""The file around the pixels, for a copy in another transfer syntax (explicit VR little endian)."""

from __future__ import annotations

import struct

from streams.part10 import TRANSFER_SYNTAX_UID, Part10
from streams.recoding.around import short

_GROUP_2_VRS = {0x00020002: b"UI", 0x00020003: b"UI", TRANSFER_SYNTAX_UID: b"UI", 0x00020012: b"UI", 0x00020013: b"SH"}


def file_meta(file: Part10, transfer_syntax: str) -> bytes:
    """Preamble and group 0002 (PS3.10 section 7.1): the source's own, with another transfer syntax."""
    texts = {**file.meta, TRANSFER_SYNTAX_UID: transfer_syntax}
    version = struct.pack("<HH2s2xI", 2, 1, b"OB", 2) + b"\0\1"
    group = version + b"".join(
        short(tag, vr, texts[tag].encode("ascii", "replace")) for tag, vr in _GROUP_2_VRS.items() if tag in texts
    )
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(group)) + group


def pixel_data(codestreams: list[bytes]) -> tuple[bytes, list[tuple[int, int]]]:
    """Encapsulated pixel data, a frame in one fragment each, and where each codestream is in it (PS3.5 annex A.4)."""
    out = [struct.pack("<HH2s2xI", 0x7FE0, 0x0010, b"OB", 0xFFFFFFFF)]
    offsets, position = [], 0
    for one in codestreams:
        offsets.append(position)
        position += 8 + len(one) + len(one) % 2
    out.append(struct.pack("<HHI", 0xFFFE, 0xE000, 4 * len(offsets)) + struct.pack(f"<{len(offsets)}I", *offsets))
    first = sum(map(len, out)) + 8
    for one in codestreams:
        out += [struct.pack("<HHI", 0xFFFE, 0xE000, len(one) + len(one) % 2), one, b"\0" * (len(one) % 2)]
    out.append(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
    return b"".join(out), [(first + offset, len(one)) for offset, one in zip(offsets, codestreams, strict=True)]
