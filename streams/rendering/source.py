"""What is rendered: a file whose frames can be had one by one, also those of real numbers and of 64 bits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from streams import part10
from streams.elements import PIXEL_DATA, Element, Malformed, TooComplex
from streams.mapped import File
from streams.part10 import Part10
from streams.pixels.codecs import Undecodable
from streams.pixels.frames import Frames
from streams.pixels.image import (
    BITS_ALLOCATED,
    COLUMNS,
    FRAMES,
    PHOTOMETRIC,
    PIXEL_REPRESENTATION,
    ROWS,
    SAMPLES,
    Image,
    describe,
)
from streams.rendering.grey import Samples
from streams.rendering.scopes import Scopes

FLOAT_PIXEL_DATA = 0x7FE00008
FRAME_BYTES_MAX = 128 << 20
_WIDE_BITS = 64


class NotRendered(Exception):
    """There is no picture. `code` is a stable name; the text says why, without a value of the file."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


_TEXTS = {
    "no_pixel_data": "It has no pixel data.",
    "pixel_data_truncated": "Its pixel data is cut short.",
    "pixel_header": "What its header says of the pixels cannot be.",
    "unsupported_pixels": "Its pixels are of a kind that is not rendered.",
    "too_large": "A frame of it is larger than what is decoded, or than what the picture's format holds.",
    "unreadable": "It is no DICOM file that can be read.",
    "undecodable": "Its pixel data cannot be decoded.",
    "decoder_absent": "Nothing here decodes its transfer syntax.",
    "decoder_crashed": "The decoder of its pixel data crashed.",
    "decoder_too_slow": "Its pixel data takes too long to decode.",
    "decoder_too_large": "Its pixel data claims more than so few bytes can hold, or than a decoder may have.",
    "no_such_frame": "It has no frame of this number.",
    "no_such_region": "The region is not in the image.",
}


def not_rendered(code: str) -> NotRendered:
    return NotRendered(code, _TEXTS[code])


class OneByOne(Protocol):
    def frame(self, index: int) -> Samples:
        """Frame `index` from 0. Raises Undecodable."""


@dataclass(frozen=True)
class Source:
    file: Part10
    image: Image
    frames: OneByOne

    @cached_property
    def scopes(self) -> Scopes:
        """One for all frames: where thousands of functional groups are is found once."""
        return Scopes(self.file)


def opened(data: File, frame_bytes_max: int = FRAME_BYTES_MAX) -> Source:
    """Reads a DICOM file. Raises NotRendered."""
    try:
        file = part10.read(data)
    except (Malformed, TooComplex):
        raise not_rendered("unreadable") from None
    return source(file, frame_bytes_max)


def source(file: Part10, frame_bytes_max: int = FRAME_BYTES_MAX) -> Source:
    """The frames of a file that was read. Raises NotRendered."""
    if (wide := _wide(file, frame_bytes_max)) is not None:
        return wide
    image = describe(file, frame_bytes_max)
    if isinstance(image, str):
        raise not_rendered(image)
    return Source(file, image, Frames(file, image))


def _wide(file: Part10, frame_bytes_max: int) -> Source | None:
    """Float Pixel Data, Double Float Pixel Data (PS3.3 sections C.7.6.24 and 25), and integers of 64 bits."""
    element = file.pixel_data
    if element is None or (element.tag == PIXEL_DATA and file.unsigned(BITS_ALLOCATED) != _WIDE_BITS):
        return None
    if element.truncated:
        raise not_rendered("pixel_data_truncated")
    image = _described(file, 32 if element.tag == FLOAT_PIXEL_DATA else 64)
    if min(image.rows, image.columns, image.frames) < 1:
        raise not_rendered("pixel_header")
    if image.samples != 1 or not image.is_native or element.undefined_length:
        raise not_rendered("unsupported_pixels")
    if image.frame_bytes > frame_bytes_max:
        raise not_rendered("too_large")
    kind = "f" if element.tag != PIXEL_DATA else "i" if image.signed else "u"
    order = "<" if file.encoding.byte_order == "little" else ">"
    return Source(file, image, _Wide(file, element, image, np.dtype(f"{order}{kind}{image.bits_allocated // 8}")))


def _described(file: Part10, bits: int) -> Image:
    return Image(
        transfer_syntax_uid=file.transfer_syntax_uid,
        rows=file.unsigned(ROWS) or 0,
        columns=file.unsigned(COLUMNS) or 0,
        frames=1 if FRAMES not in file.elements or not file.text(FRAMES) else file.integer(FRAMES) or 0,
        samples=file.unsigned(SAMPLES) or 1,
        bits_allocated=bits,
        bits_stored=bits,
        high_bit=bits - 1,
        signed=file.unsigned(PIXEL_REPRESENTATION) == 1,
        planar=False,
        photometric=file.text(PHOTOMETRIC) or "MONOCHROME2",
    )


class _Wide:
    def __init__(self, file: Part10, element: Element, image: Image, dtype: np.dtype[np.generic]) -> None:
        self._value = memoryview(file.data)[element.value_at : element.end]
        self._image, self._dtype = image, dtype

    def frame(self, index: int) -> Samples:
        count, start = self._image.rows * self._image.columns, index * self._image.frame_bytes
        if start + count * self._dtype.itemsize > len(self._value):
            raise Undecodable("fewer bytes than the header says")
        flat = np.frombuffer(self._value, self._dtype, count, start)
        return flat.astype(self._dtype.newbyteorder("=")).reshape(self._image.shape)
