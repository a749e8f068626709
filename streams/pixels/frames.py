"""One frame at a time as an array, whatever it was stored as. Nothing is copied that need not be."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from streams import encapsulated
from streams.elements import PIXEL_DATA, Element, Malformed
from streams.part10 import Part10
from streams.pixels.claims import Pixels, Undecodable
from streams.pixels.image import SUBSAMPLED, Image
from streams.sandbox.sandbox import shared

# Of frames that were decoded; the last one is kept whatever its size.
_KEPT_BYTES = 32 << 20


class Frames:
    """The frames of a file's pixel data. Codestreams are decoded in a process of their own."""

    def __init__(self, file: Part10, image: Image, items: encapsulated.Encapsulated | None = None) -> None:
        """`items` of encapsulated pixel data, where they are known already."""
        self._image = image
        self._items = items
        self._big = file.encoding.byte_order == "big"
        element = file.elements[PIXEL_DATA]
        self._element: Element = element
        self._data = file.data
        self._kept: dict[int, Pixels] = {}
        self._value = memoryview(file.data)[element.value_at : element.end]

    def frame(self, index: int) -> Pixels:
        """Frame `index` from 0, shaped (rows, columns) or (rows, columns, samples). Raises Undecodable."""
        if self._element.undefined_length:
            return self._decoded(index)
        if not self._image.is_native:
            raise Undecodable("native pixel data in a compressed transfer syntax")
        return self._native(index)

    def _decoded(self, index: int) -> Pixels:
        """What was decoded last is kept, and not to be written to: a copy and its pictures often want the same."""
        if index not in self._kept:
            pixels = shared().decode(bytes(self.codestreams[index]), self._image)
            pixels.flags.writeable = False
            while self._kept and pixels.nbytes * (len(self._kept) + 1) > _KEPT_BYTES:
                del self._kept[next(iter(self._kept))]
            self._kept[index] = pixels
        return self._kept[index]

    @cached_property
    def codestreams(self) -> encapsulated.Codestreams:
        """Of encapsulated pixel data. Raises Undecodable where frames cannot be told apart."""
        try:
            items = self._items or encapsulated.items(self._data, self._element)
            return encapsulated.frames(self._data, items, self._image.frames)
        except Malformed as error:
            raise Undecodable(str(error)) from None

    def _native(self, index: int) -> Pixels:
        image = self._image
        if image.samples == 3 and image.photometric in SUBSAMPLED:
            return self._subsampled(index)
        if image.bits_allocated == 1:
            return self._bits(index)
        flat = self._samples(index * image.frame_bytes, image.frame_bytes)
        if image.samples == 3 and image.planar:
            return np.moveaxis(flat.reshape(image.samples, image.rows, image.columns), 0, -1)
        return flat.reshape(image.shape)

    def _samples(self, start: int, length: int) -> Pixels:
        """Samples of some bytes of native pixel data (PS3.5 section 8.1), in this machine's byte order."""
        if start + length > len(self._value):
            raise Undecodable("fewer bytes than the header says")
        dtype = self._image.dtype
        if not self._big:
            return np.frombuffer(self._value, dtype.newbyteorder("<"), length // dtype.itemsize, start)
        if dtype.itemsize == 1 and self._element.vr == "OW":
            # Big-endian words of two samples: the first of them is in the low byte.
            first = start // 2
            count = min((start + length + 1) // 2, len(self._value) // 2) - first
            words = np.frombuffer(self._value, ">u2", count, first * 2).astype("<u2")
            return words.view(dtype)[start - first * 2 :][:length]
        return np.frombuffer(self._value, dtype.newbyteorder(">"), length // dtype.itemsize, start).astype(dtype)

    def _bits(self, index: int) -> Pixels:
        """Frames of single bits follow each other without padding (PS3.5 section 8.1.1)."""
        image = self._image
        count = image.rows * image.columns * image.samples
        first, last = index * count // 8, ((index + 1) * count + 7) // 8
        if last > len(self._value):
            raise Undecodable("fewer bytes than the header says")
        if self._big and self._element.vr == "OW":
            raise Undecodable("single bits in big-endian words")
        packed = np.frombuffer(self._value, np.uint8, last - first, first)
        skip = index * count - first * 8
        return np.unpackbits(packed, bitorder="little")[skip : skip + count].reshape(image.shape)

    def _subsampled(self, index: int) -> Pixels:
        """Y Y Cb Cr for each two pixels of a row (PS3.3 section C.7.6.3.1.2), as (rows, columns, 3)."""
        image = self._image
        if image.columns % 2 or image.bits_allocated != 8:
            raise Undecodable("half a pair of pixels")
        length = image.rows * image.columns * 2
        pairs = self._samples(index * length, length).reshape(image.rows, image.columns // 2, 4)
        frame = np.empty(image.shape, image.dtype)
        frame[:, 0::2, 0], frame[:, 1::2, 0] = pairs[:, :, 0], pairs[:, :, 1]
        frame[:, :, 1:] = np.repeat(pairs[:, :, 2:], 2, axis=1)
        return frame
