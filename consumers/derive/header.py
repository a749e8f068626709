"""The data set around the pixels, for a copy in another transfer syntax (explicit VR little endian).

Every element but those of the pixels' own encoding is as it was received: byte for byte where the source is in explicit
VR little endian, its value byte for byte from implicit VR, equal by value from big endian. Group lengths (gggg,0000),
retired since 2008, count bytes of an encoding and are left out.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Mapping

import pydicom
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from consumers.derive.explicit import converted
from streams.elements import PIXEL_DATA
from streams.part10 import TRANSFER_SYNTAX_UID, Part10
from streams.pixels.image import PIXEL_REPRESENTATION

_GROUP_2_VRS = {0x00020002: b"UI", 0x00020003: b"UI", TRANSFER_SYNTAX_UID: b"UI", 0x00020012: b"UI", 0x00020013: b"SH"}


class Unconvertible(Exception):
    """The data set cannot be written in explicit VR little endian."""


def short(tag: int, vr: bytes, value: bytes) -> bytes:
    """An element with a 16-bit length, padded to an even one (PS3.5 section 6.2)."""
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def file_meta(file: Part10, transfer_syntax: str) -> bytes:
    """Preamble and group 0002 (PS3.10 section 7.1): the source's own, with another transfer syntax."""
    texts = {**file.meta, TRANSFER_SYNTAX_UID: transfer_syntax}
    version = struct.pack("<HH2s2xI", 2, 1, b"OB", 2) + b"\0\1"
    group = version + b"".join(
        short(tag, vr, texts[tag].encode("ascii", "replace")) for tag, vr in _GROUP_2_VRS.items() if tag in texts
    )
    return bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(group)) + group


def around_pixels(file: Part10, replaced: Mapping[int, bytes]) -> tuple[bytes, bytes]:
    """What stands before and behind the pixel data; `replaced` are whole elements to put in, by tag.

    Raises Unconvertible.
    """
    kept = [element for tag, element in sorted(file.elements.items()) if tag & 0xFFFF and tag != PIXEL_DATA]
    if file.encoding.byte_order == "big":
        written: Iterable[tuple[int, bytes]] = _from_big_endian(file)
    elif file.encoding.explicit:
        written = ((one.tag, file.data[one.at : one.end]) for one in kept)
    else:
        signed = file.unsigned(PIXEL_REPRESENTATION) == 1
        written = ((one.tag, converted(file.data, one, signed=signed)) for one in kept)
    elements = {**dict(written), **replaced}
    before = b"".join(elements[tag] for tag in sorted(elements) if tag < PIXEL_DATA)
    behind = b"".join(elements[tag] for tag in sorted(elements) if tag > PIXEL_DATA)
    return before, behind


def _from_big_endian(file: Part10) -> Iterator[tuple[int, bytes]]:
    """Through pydicom, which knows which values have words to swap; the encoding is retired and rare."""
    try:
        source = pydicom.dcmread(io.BytesIO(file.data))
        for tag in [tag for tag in source.keys() if tag & 0xFFFF and tag != PIXEL_DATA]:  # noqa: SIM118
            one = pydicom.Dataset()
            one[tag] = source[tag]
            out = DicomBytesIO()
            out.is_little_endian, out.is_implicit_VR = True, False
            write_dataset(out, one)
            yield int(tag), out.getvalue()
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever a value leads it to
        raise Unconvertible(type(error).__name__) from None


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
