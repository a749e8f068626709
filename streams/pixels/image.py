"""What the header says of the pixels (PS3.3 section C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from streams.elements import PIXEL_DATA
from streams.part10 import (
    DEFLATED,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Part10,
)

NATIVE = DEFLATED | {IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN}
# Chroma of every second column alone is in native pixel data (PS3.3 section C.7.6.3.1.2).
SUBSAMPLED = ("YBR_FULL_422", "YBR_PARTIAL_422")
RLE_LOSSLESS = "1.2.840.10008.1.2.5"
# MPEG-2, MPEG-4 and HEVC: a fragment is no frame there (PS3.5 annexes A.4.5 to A.4.9), nor in SMPTE ST 2110 flows.
VIDEO = tuple(f"1.2.840.10008.1.2.4.10{digit}" for digit in range(10))

SAMPLES, PHOTOMETRIC, PLANAR, FRAMES, ROWS, COLUMNS = (
    0x00280002,
    0x00280004,
    0x00280006,
    0x00280008,
    0x00280010,
    0x00280011,
)
BITS_ALLOCATED, BITS_STORED, HIGH_BIT, PIXEL_REPRESENTATION = 0x00280100, 0x00280101, 0x00280102, 0x00280103


@dataclass(frozen=True)
class Image:
    transfer_syntax_uid: str
    rows: int
    columns: int
    frames: int
    samples: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    planar: bool
    photometric: str

    @property
    def is_native(self) -> bool:
        return self.transfer_syntax_uid in NATIVE

    @property
    def shape(self) -> tuple[int, ...]:
        """One frame as an array: (rows, columns), or (rows, columns, samples)."""
        return (self.rows, self.columns) if self.samples == 1 else (self.rows, self.columns, self.samples)

    @property
    def dtype(self) -> np.dtype[np.integer]:
        """One sample in memory, in this machine's byte order; a single bit takes a byte."""
        return np.dtype(f"{'i' if self.signed else 'u'}{max(self.bits_allocated, 8) // 8}")

    @property
    def bits_below(self) -> int:
        """Bits of a native cell below the stored ones: none, but in old files (PS3.5 section 8.1.1)."""
        return min(max(self.high_bit + 1 - self.bits_stored, 0), self.dtype.itemsize * 8 - self.bits_stored)

    @property
    def frame_bytes(self) -> int:
        return self.rows * self.columns * self.samples * self.dtype.itemsize


def describe(file: Part10, frame_bytes_max: int) -> Image | str:
    """The image in a file, or the note that says why nothing is made of it."""
    element = file.pixel_data
    if element is None:
        return "no_pixel_data"
    if element.truncated:
        return "pixel_data_truncated"
    if element.tag != PIXEL_DATA:
        return "unsupported_pixels"
    bits_allocated = file.unsigned(BITS_ALLOCATED) or 0
    bits_stored = file.unsigned(BITS_STORED) or bits_allocated
    high_bit = file.unsigned(HIGH_BIT)
    image = Image(
        transfer_syntax_uid=file.transfer_syntax_uid,
        rows=file.unsigned(ROWS) or 0,
        columns=file.unsigned(COLUMNS) or 0,
        frames=1 if FRAMES not in file.elements or not file.text(FRAMES) else file.integer(FRAMES) or 0,
        samples=file.unsigned(SAMPLES) or 0,
        bits_allocated=bits_allocated,
        bits_stored=bits_stored,
        high_bit=bits_stored - 1 if high_bit is None else high_bit,
        signed=file.unsigned(PIXEL_REPRESENTATION) == 1,
        planar=file.unsigned(PLANAR) == 1,
        photometric=file.text(PHOTOMETRIC) or "",
    )
    return _refused(image, frame_bytes_max) or image


def _refused(image: Image, frame_bytes_max: int) -> str | None:
    if min(image.rows, image.columns, image.frames, image.samples, image.bits_allocated) < 1 or not image.photometric:
        return "pixel_header"
    if image.samples not in (1, 3) or image.bits_allocated not in (1, 8, 16, 32):
        return "unsupported_pixels"
    if not 1 <= image.bits_stored <= image.bits_allocated or (image.bits_allocated == 1 and image.signed):
        return "pixel_header"
    return "too_large" if image.frame_bytes > frame_bytes_max else None
