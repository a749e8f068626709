"""A whole DICOM file as validation walks through it (PS3.10, PS3.5 annex A): what pydicom reads too is where it says.

Encapsulated pixel data is taken apart into fragments and frames, and the head of each codestream is read.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from typing import Final

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.filereader import data_element_generator

from consumers.validate import iod
from streams import codestream, encapsulated, part10
from streams.elements import ITEM, SEQUENCE_DELIMITER, UNDEFINED_LENGTH, Malformed, TooComplex
from streams.part10 import Part10
from tests import images
from tests.fuzz.targets.data_set_tags import corpus_heads

INPUT_BYTES_MAX: Final = 1 << 16
WORDS: Final = (
    *(
        b"DICM",
        b"\x02\0\x10\0UI",
        b"\xe0\x7f\x10\0OB\0\0\xff\xff\xff\xff",
        b"\xe0\x7f\x10\0OW\0\0",
        b"\xff\xff\xff\xff",
    ),
    *(
        ITEM.to_bytes(4, "little"),
        b"\xfe\xff\0\xe0",
        b"\xfe\xff\x0d\xe0\0\0\0\0",
        b"\xfe\xff\xdd\xe0\0\0\0\0",
        b"SQ\0\0",
    ),
    *(b"\xff\xd8\xff\xc0\0\x0b\x08", b"\xff\x4f\xff\x51", b"UN\0\0", b"1.2.840.10008.1.2.1.99", b"1.2.840.10008.1.2.2"),
)
_FRAMES_MAX: Final = 10_000


def seeds() -> Iterator[bytes]:
    pixels = np.zeros((2, 4, 4), np.uint16)
    for encoding in images.NATIVE:
        yield images.native(pixels, encoding)
    jpeg = b"\xff\xd8\xff\xc3\0\x0b\x10\0\4\0\4\1\1\x11\0\xff\xd9"
    yield images.compressed(pixels, [jpeg, jpeg], "1.2.840.10008.1.2.4.70")
    yield from corpus_heads()


def check(data: bytes) -> None:
    try:
        read = part10.read(data)
    except (Malformed, TooComplex):
        return
    ends = [(element.at, element.value_at, element.end) for element in read.elements.values()]
    assert all(read.start <= at < value_at <= end <= len(read.data) for at, value_at, end in ends)
    assert all(before[2] <= after[0] for before, after in zip(sorted(ends), sorted(ends)[1:], strict=False))
    for tag in (0x00080018, 0x00280010, 0x00280008):
        read.text(tag), read.unsigned(tag), read.integer(tag)
    assert all(finding.text for finding in iod.check(read).findings)
    _check_pixels(read)
    _check_by_pydicom(read)


def _check_pixels(read: Part10) -> None:
    pixel_data = read.pixel_data
    if pixel_data is None or not pixel_data.undefined_length:
        return
    try:
        items = encapsulated.items(read.data, pixel_data)
        count = min(read.integer(0x00280008) or 1, _FRAMES_MAX)
        found = encapsulated.frames(read.data, items, max(count, 1))
    except Malformed:
        return
    frames = [found[index] for index in range(len(found))]
    assert sum(map(len, frames)) <= pixel_data.length
    for frame in frames:
        codestream.picture(bytes(frame))


def _check_by_pydicom(read: Part10) -> None:
    """Elements of a length that they say, in an order that nobody doubts."""
    if read.oddities:
        return
    stream = BytesIO(read.data[read.start :])
    is_implicit, is_little = not read.encoding.explicit, read.encoding.byte_order == "little"
    found: dict[int, tuple[int, int]] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for element in data_element_generator(stream, is_implicit, is_little):
                if not isinstance(element, RawDataElement) or element.length == UNDEFINED_LENGTH:
                    return
                if int(element.tag) >> 16 == SEQUENCE_DELIMITER >> 16 or len(element.value or b"") != element.length:
                    return
                found[int(element.tag)] = (element.value_tell + read.start, element.length)
    except Exception:  # noqa: BLE001 - whatever it does not read, it has no opinion on
        return
    assert {tag: (one.value_at, one.length) for tag, one in read.elements.items()} == found
