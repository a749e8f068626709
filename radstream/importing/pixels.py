"""Arrays of pictures as DICOM stores them: grey or RGB, unsigned, without transparency."""

from __future__ import annotations

from typing import Any

import numpy as np

Pixels = np.ndarray[Any, np.dtype[Any]]


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


def raw(pixels: Pixels) -> bytes:
    """Little endian, row by row, colour by pixel."""
    return np.ascontiguousarray(pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)).tobytes()
