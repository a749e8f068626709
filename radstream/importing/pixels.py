"""Arrays of pictures as DICOM stores them: grey or RGB, unsigned, without transparency."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import numpy as np

Pixels = np.ndarray[Any, np.dtype[Any]]
# Rows are columns in a picture that was held so.
TRANSPOSED: Final = (5, 6, 7, 8)
# Resolutions are rounded, to whole pixels a metre in PNG.
_ROUNDED: Final = 0.01
# What would be flatter has a resolution that is not said, or a wrong one.
_ASPECT_MAX: Final = 8


def flattened(pixels: Pixels, *, premultiplied: bool = False) -> Pixels:
    """(rows, columns) or (rows, columns, 3) out of an array with 1 to 4 samples: transparency is laid over white."""
    if pixels.ndim == 2:
        return pixels
    samples = pixels.shape[2]
    if samples in (2, 4):
        white = np.iinfo(pixels.dtype).max
        alpha = pixels[..., -1:].astype(np.uint64)
        colour = pixels[..., :-1].astype(np.uint64)
        over = colour if premultiplied else (colour * alpha + white // 2) // white
        # Where nothing shines through, nothing changes.
        laid = np.where(alpha == white, pixels[..., :-1], np.minimum(over + (white - alpha), white))
        pixels = laid.astype(pixels.dtype)
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def upright(pixels: Pixels, orientation: int) -> Pixels:
    """Exif's eight ways to hold a camera, which TIFF has too, undone; no pixel changes its value."""
    if orientation in TRANSPOSED:
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def aspect_of(across: float, down: float, orientation: int) -> tuple[int, int] | None:
    """Height and width of a pixel, out of how many there are of them in one length, in a picture that is turned
    upright. None where they are squares, or where it says nothing that can be."""
    if min(across, down) <= 0 or not 1 / _ASPECT_MAX <= across / down <= _ASPECT_MAX:
        return None
    if abs(across / down - 1) < _ROUNDED:
        return None
    height, width = Fraction(across / down).limit_denominator(1000).as_integer_ratio()
    return (width, height) if orientation in TRANSPOSED else (height, width)


def raw(pixels: Pixels) -> bytes:
    """Little endian, row by row, colour by pixel."""
    return np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)).tobytes()
