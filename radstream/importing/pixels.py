"""Arrays of pictures as DICOM stores them: grey or RGB, unsigned, without transparency."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

Pixels = np.ndarray[Any, np.dtype[Any]]
# Rows are columns in a picture that was held so.
TRANSPOSED: Final = (5, 6, 7, 8)


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


def raw(pixels: Pixels) -> bytes:
    """Little endian, row by row, colour by pixel."""
    return np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)).tobytes()
