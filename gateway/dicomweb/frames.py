"""Frames as bytes: as they are stored, from the original or its lossless copy, or decoded to native little endian."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.dicomweb.accepting import Offer
from gateway.dicomweb.frame_table import CUT, FrameTables, codestream
from gateway.dicomweb.heads import Head, Heads, Pixels
from gateway.dicomweb.served import Derived, Served
from gateway.dicomweb.syntaxes import MEDIA_TYPES, NATIVE, OCTETS
from gateway.problem import Problem
from gateway.reading import SMALL_BYTES, Blob, Reading
from gateway.workers import Workers
from streams import part10
from streams.elements import Malformed, TooComplex
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.pixels.claims import DECODABLE, Undecodable
from streams.pixels.codecs import JPEG_LOSSY
from streams.pixels.image import RLE_LOSSLESS, SUBSAMPLED, Image
from streams.sandbox.sandbox import shared

# Frames that are read before anybody asks: who looks at one scrolls.
_AHEAD = 2
# No frame of more is decoded (as `streams.rendering.source` has it), nor put together out of its fragments.
FRAME_BYTES_MAX = 128 << 20
_TOO_LARGE = f"A frame of more than {FRAME_BYTES_MAX >> 20} MB is not had by itself; retrieve its instance."
_VIDEO = "All frames of a video are one stream: it is had as pixel data or bulk data, or with its instance."


@dataclass(frozen=True)
class Source:
    """An instance whose frames can be had. `copy` is its lossless copy, where there is one."""

    served: Served
    head: Head
    pixels: Pixels
    copy: Derived | None

    @property
    def syntax(self) -> str:
        return self.served.transfer_syntax

    @property
    def is_native(self) -> bool:
        return self.syntax in NATIVE

    def copy_as(self, syntax: str) -> Derived | None:
        """The copy, where it is what has that transfer syntax."""
        return self.copy if self.copy is not None and syntax == self.copy.transfer_syntax != self.syntax else None

    def blob_of(self, syntax: str) -> Blob:
        """What frames in that transfer syntax come from: another build of derive makes another copy."""
        copy = self.copy_as(syntax)
        return self.served.blob if copy is None else copy.blob

    @property
    def can_be_native(self) -> bool:
        """Whether frames can be had as PS3.5 section 8.1.1 has them, and be what the metadata say of them.

        Lossy JPEG's decoder gives RGB; the metadata of such an image say YBR, which native pixels can be as well.
        """
        if self.is_native:
            return not self.pixels.encapsulated and self.pixels.frame_bits > 0
        image = self.pixels.image
        if image is None or self.syntax not in DECODABLE or (image.bits_allocated == 1 and self.syntax == RLE_LOSSLESS):
            return False
        if image.samples != 3:
            return True
        # Chroma of every second column is what the metadata say, and the decoder gives that of each.
        return image.photometric not in SUBSAMPLED and not (self.syntax in JPEG_LOSSY and image.photometric != "RGB")


@dataclass(frozen=True)
class Place:
    """A stored codestream, or a native frame, that lies in one piece."""

    blob: Blob
    at: int
    length: int


class Frames:
    """For one event loop."""

    def __init__(self, reading: Reading, heads: Heads, tables: FrameTables, workers: Workers) -> None:
        self._reading, self._heads, self._tables, self._workers = reading, heads, tables, workers

    async def source(self, served: Served) -> Source:
        """Raises Problem 404 where there are no pixels, 422 for a video."""
        if served.is_video:
            raise Problem(422, _VIDEO)
        head = await self._heads.of(served)
        if head.pixels is None:
            raise Problem(404, "The instance has no pixel data.")
        copy = served.of_kind("lossless")
        return Source(served, head, head.pixels, copy if copy and len(copy.frames) == head.pixels.frames else None)

    def place(self, source: Source, index: int, syntax: str) -> Place | None:
        """Where frame `index` (from 0) is, as `syntax` has it; None where it is not to be had without work."""
        pixels, served = source.pixels, source.served
        if (copy := source.copy_as(syntax)) is not None:
            at, length = copy.frames[index]
            return Place(copy.blob, at, length)
        if source.is_native:
            start, rest = divmod(index * pixels.frame_bits, 8)
            if source.head.inflated or pixels.big or rest or pixels.frame_bits % 8:
                return None
            return Place(served.blob, pixels.at + start, pixels.frame_bits // 8)
        return None

    async def bytes_of(self, source: Source, index: int, syntax: str) -> int:
        """What `frame` takes in memory at most: the frame, what it is made of, and what it is turned around in.

        Raises Problem 422 for a frame of more than FRAME_BYTES_MAX, and as `frame`.
        """
        blob, place = source.served.blob, self.place(source, index, syntax)
        if place is not None:
            return _within(place.length) + (place.blob.length if place.blob.is_whole_for(place.length) else 0)
        if source.is_native:
            return 3 * _within(source.pixels.frame_bits // 8 + 1) + (blob.length if source.head.inflated else 0)
        table = await self._tables.of(blob, source.head, source.pixels)
        stored, image = _within(table[index + 1] - table[index]), source.pixels.image
        # Its fragments and itself; then samples, what they are turned around in, and their bytes.
        return 2 * stored + (0 if syntax == source.syntax or image is None else 3 * image.frame_bytes)

    async def long(self, source: Source, index: int, syntax: str) -> Place | None:
        """A frame that lies in one piece, and is long and had best be read as it is sent. Raises Problem 422."""
        place = self.place(source, index, syntax)
        if place is None or place.length <= SMALL_BYTES or place.blob.is_whole_for(place.length):
            return None
        if place.at + place.length > _end(source, place):
            raise Problem(422, CUT)
        return place

    def pieces(self, place: Place, start: int, length: int) -> AsyncIterator[bytes]:
        """Bytes of a long frame, from `start` on. Raises as `Reading.part` does."""
        return self._reading.long_part(place.blob, place.at + start, length)

    async def frame(self, source: Source, index: int, syntax: str) -> bytes | memoryview:
        """Frame `index` (from 0) in `syntax`: that of the original, that of the copy, or explicit VR little endian.

        Raises Problem 422 where the file does not hold it or nothing decodes it, and as `Reading.whole` does.
        """
        place = self.place(source, index, syntax)
        if place is not None:
            if place.at + place.length > _end(source, place):
                raise Problem(422, CUT)
            data = await self._reading.view(place.blob, place.at, place.length)
            if len(data) < place.length:
                raise Problem(422, CUT)
            return _without_the_rest(data)
        if source.is_native:
            return await self._native(source, index)
        stored = await self._codestream(source, index)
        if syntax == source.syntax:
            return _without_the_rest(stored)
        return await self._decoded(source, stored)

    def expect(self, source: Source, index: int, syntax: str) -> None:
        """Reads the frames behind one that was given, for who asks for them next."""
        for behind in range(index + 1, min(index + 1 + _AHEAD, source.pixels.frames)):
            place = self.place(source, behind, syntax) or self._codestream_at(source, behind)
            if place is not None:
                self._reading.expect(place.blob, place.at, place.length)

    def _codestream_at(self, source: Source, index: int) -> Place | None:
        """Where a codestream is, with the heads of its fragments; None where no table is at hand."""
        blob = source.served.blob
        table = None if source.is_native else self._tables.at_hand(blob)
        return None if table is None else Place(blob, table[index], table[index + 1] - table[index])

    async def _codestream(self, source: Source, index: int) -> bytes | memoryview:
        table = await self._tables.of(source.served.blob, source.head, source.pixels)
        start, end = table[index], table[index + 1]
        return codestream(await self._reading.view(source.served.blob, start, end - start))

    async def _decoded(self, source: Source, stored: bytes | memoryview) -> bytes:
        image = source.pixels.image
        if image is None:
            raise Problem(422, "What the header says of the pixels cannot be.")
        try:
            return await self._workers.run(lambda: _as_native(shared().decode(bytes(stored), image), image))
        except Undecodable:
            raise Problem(422, "A frame of the instance cannot be decoded.") from None

    async def _native(self, source: Source, index: int) -> bytes:
        """What does not lie in whole bytes of a little endian file."""
        pixels = source.pixels
        first, skip = divmod(index * pixels.frame_bits, 8)
        end = -(-(index + 1) * pixels.frame_bits // 8)
        if source.head.inflated:
            whole = await self._reading.whole(source.served.blob)
            data = await self._workers.run(lambda: bytes(_inflated(whole)[pixels.at + first : pixels.at + end]))
        else:
            # Of bytes in big endian words of two, the neighbour is wanted too.
            first, spare = (first // 8 * 8, first % 8) if pixels.big else (first, 0)
            data = await self._reading.part(source.served.blob, pixels.at + first, -(-(end - first) // 8) * 8)
            if pixels.big:
                data = _swapped(data, pixels)[spare : spare + end - first]
            data = data[: end - first]
        if len(data) * 8 < skip + pixels.frame_bits or pixels.at + end > pixels.end:
            raise Problem(422, CUT)
        return data if not skip and not pixels.frame_bits % 8 else _aligned(data, skip, pixels.frame_bits)


def _without_the_rest(frame: bytes | memoryview) -> bytes | memoryview:
    """A copy, where it keeps more than as much again of its file: its own length is what is counted (0067)."""
    is_small = isinstance(frame, memoryview) and 2 * len(frame) < memoryview(frame.obj).nbytes
    return bytes(frame) if is_small else frame


def _within(length: int) -> int:
    if length > FRAME_BYTES_MAX:
        raise Problem(422, _TOO_LARGE)
    return length


def offers(source: Source, *, alone: bool) -> list[Offer]:
    """What there is of a frame, as it lies first. `alone`: one frame was asked for."""
    can_be_native, syntax = source.can_be_native, source.syntax
    found: list[Offer] = []
    if source.is_native:
        if can_be_native:
            found.append(Offer(OCTETS, EXPLICIT_VR_LITTLE_ENDIAN, True, alone=alone))
    else:
        found += as_stored(syntax, not can_be_native, alone)
        if can_be_native:
            found.append(Offer(OCTETS, EXPLICIT_VR_LITTLE_ENDIAN, True, alone=alone))
    if source.copy is not None and source.copy.transfer_syntax not in (None, syntax):
        found += as_stored(str(source.copy.transfer_syntax), False, alone)
    return found


def as_stored(syntax: str, is_default: bool, alone: bool) -> list[Offer]:
    """Under the type that the standard has, under those that viewers ask by, and as mere bytes of a named syntax."""
    types = (*MEDIA_TYPES.get(syntax, ()), OCTETS)
    return [Offer(kind, syntax, is_default and kind == types[0], alone=alone) for kind in types]


def _end(source: Source, place: Place) -> int:
    return source.pixels.end if place.blob is source.served.blob else place.blob.length


def _as_native(frame: np.ndarray[tuple[int, ...], np.dtype[np.integer]], image: Image) -> bytes:
    """Little endian, colour by pixel or by plane as the header says (PS3.3 section C.7.6.3.1.3), single bits packed."""
    if image.bits_allocated == 1:
        return np.packbits(frame.astype(np.bool_), axis=None, bitorder="little").tobytes()
    if image.samples == 3 and image.planar:
        frame = np.moveaxis(frame, -1, 0)
    return np.ascontiguousarray(frame, image.dtype.newbyteorder("<")).tobytes()


def _inflated(whole: bytes) -> memoryview:
    try:
        return memoryview(part10.read(whole).data)
    except (Malformed, TooComplex):
        raise Problem(422, "The data set of the instance cannot be inflated.") from None


def _swapped(data: bytes, pixels: Pixels) -> bytes:
    """Big endian words, of the size that the VR or the samples have, as little endian."""
    image = pixels.image
    size = image.bits_allocated // 8 if image is not None and image.bits_allocated > 8 else 1
    if pixels.tag != 0x7FE00010:
        size = 4 if pixels.tag == 0x7FE00008 else 8
    elif pixels.vr == "OW":
        size = max(size, 2)
    words = np.frombuffer(data[: len(data) // size * size], f">u{size}")
    return words.astype(f"<u{size}").tobytes()


def _aligned(data: bytes, skip: int, bits: int) -> bytes:
    """Single bits of one frame from its first bit on; those behind it are zero (PS3.5 section 8.1.1)."""
    unpacked = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")[skip : skip + bits]
    return np.packbits(unpacked, bitorder="little").tobytes()


def numbers(text: str, frames: int) -> Sequence[int]:
    """Indices (from 0) of a list of frame numbers as a path has it. Raises Problem 400, 404."""
    parts = text.split(",")
    if not all(part.isascii() and part.isdecimal() and len(part) <= 9 for part in parts) or len(parts) > 4096:
        raise Problem(400, "Frames are numbers from 1 on, with commas between them.")
    found = [int(part) - 1 for part in parts]
    if not all(0 <= index < frames for index in found):
        raise Problem(404, "The instance has no frame of this number.")
    return found
