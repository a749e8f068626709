"""The data set around the pixels, in explicit VR little endian.

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

from streams.elements import PIXEL_DATA
from streams.part10 import Part10
from streams.recoding.explicit import converted, signs_of


class Unconvertible(Exception):
    """The data set cannot be written in explicit VR little endian."""


def short(tag: int, vr: bytes, value: bytes) -> bytes:
    """An element with a 16-bit length, padded to an even one (PS3.5 section 6.2)."""
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


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
        signs = signs_of(file)
        written = ((one.tag, converted(file.data, one, signs)) for one in kept)
    elements = {**dict(written), **replaced}
    before = b"".join(elements[tag] for tag in sorted(elements) if tag < PIXEL_DATA)
    behind = b"".join(elements[tag] for tag in sorted(elements) if tag > PIXEL_DATA)
    return before, behind


def _from_big_endian(file: Part10) -> Iterator[tuple[int, bytes]]:
    """Through pydicom, which knows which values have words to swap; the encoding is retired and rare."""
    try:
        source = pydicom.dcmread(io.BytesIO(file.data))
        # Texts in the items of a sequence are decoded and encoded again, in what the data set says.
        character_set = source.get("SpecificCharacterSet", "ISO_IR 6")
        for tag in [tag for tag in source.keys() if tag & 0xFFFF and tag != PIXEL_DATA]:  # noqa: SIM118
            one = pydicom.Dataset()
            one[tag] = source[tag]
            out = DicomBytesIO()
            out.is_little_endian, out.is_implicit_VR = True, False
            write_dataset(out, one, parent_encoding=character_set)
            yield int(tag), out.getvalue()
    except Exception as error:  # noqa: BLE001 - pydicom raises whatever a value leads it to
        raise Unconvertible(type(error).__name__) from None
