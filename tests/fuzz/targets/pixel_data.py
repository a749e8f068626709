"""Pixel data as validation looks at it (PS3.5 section 8 and annex A): attributes, palettes, offset tables, codestreams.

Decoders run in the sandbox's helpers, which may die of an input; this process may not.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import imagecodecs
import numpy as np

from consumers.validate import pixels, rules
from consumers.validate.config import Limits
from streams import part10
from streams.elements import Malformed, TooComplex
from tests import images

INPUT_BYTES_MAX: Final = 1 << 14
WORDS: Final = (
    *(b"\xff\xd8", b"\xff\xc0\0\x0b\x08", b"\xff\xc3", b"\xff\xf7\0\x0b\x10", b"\xff\xda", b"\xff\xd9", b"\xff\xc4"),
    *(b"\xff\x4f\xff\x51", b"\xff\x52\0\x0c", b"\xff\x90\0\x0a", b"\xff\x93", b"\xff\xff\xff\xff"),
    *(b"\xfe\xff\0\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0", b"(\0\x10\0US\2\0", b"(\0\x11\0US\2\0", b"PALETTE COLOR"),
)
_SYNTAX: Final = "1.2.840.10008.1.2.4."


def seeds() -> Iterator[bytes]:
    grey = np.arange(96, dtype=np.uint16).reshape(2, 8, 6)
    small = grey.astype(np.uint8)
    yield images.native(grey, bits_stored=12)
    yield images.compressed(grey, [bytes(imagecodecs.jpegls_encode(one)) for one in grey], f"{_SYNTAX}80")
    yield images.compressed(small, [bytes(imagecodecs.jpeg8_encode(one)) for one in small], f"{_SYNTAX}50")
    yield images.compressed(
        grey, [bytes(imagecodecs.htj2k_encode(one, reversible=True)) for one in grey], f"{_SYNTAX}201"
    )
    wavelets = [bytes(imagecodecs.jpeg2k_encode(one, codecformat="j2k", reversible=True)) for one in grey]
    yield images.compressed(grey, wavelets, f"{_SYNTAX}90")
    # One segment, which is one run of 48 (PS3.5 annex G).
    packed = struct.pack("<16I", 1, 64, *[0] * 14) + b"\xd1\7"
    yield images.compressed(small[:1], [packed], "1.2.840.10008.1.2.5")


def check(data: bytes) -> None:
    try:
        file = part10.read(data)
    except (Malformed, TooComplex):
        return
    for name, place in pixels.check(file, Limits(), is_image=True):
        rules.RULES[name].broken(name, place)
