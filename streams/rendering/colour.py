"""Colour to RGB of 8 bits (PS3.3 section C.7.6.3.1.2)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.pixels.codecs import JPEG_LOSSY, Pixels
from streams.pixels.image import NATIVE, RLE_LOSSLESS, Image

Rgb = NDArray[np.uint8]

_PART = 1 << 18
_KR, _KB = 0.299, 0.114
_KG = 1.0 - _KR - _KB
_CENTRED = np.arange(256, dtype=np.float64) - 128.0
# With a whole luminance, rounding a sum is rounding what is added: a table for each chroma, halves up.
_RED = np.floor(_CENTRED * 2 * (1 - _KR) + 0.5).astype(np.int16)
_BLUE = np.floor(_CENTRED * 2 * (1 - _KB) + 0.5).astype(np.int16)
_GREEN_BLUE = _CENTRED * (-2 * _KB * (1 - _KB) / _KG)
_GREEN_RED = _CENTRED * (-2 * _KR * (1 - _KR) / _KG)
_GREEN = np.floor(_GREEN_BLUE[:, None] + _GREEN_RED[None, :] + 0.5).astype(np.int16)
# Partial range (ITU-R BT.601): luminance of 16 to 235, chroma of 16 to 240.
_FULL_Y = np.clip((np.arange(256) - 16) * 255.0 / 219.0 + 0.5, 0, 255).astype(np.uint8)
_FULL_C = np.clip((np.arange(256) - 128) * 255.0 / 224.0 + 128.5, 0, 255).astype(np.uint8)


def rgb(frame: Pixels, image: Image) -> Rgb:
    """(rows, columns, 3) of 8 bits; samples of more bits lose the lower ones."""
    shift = max(0, image.bits_stored - 8 + (image.bits_below if image.is_native else 0))
    eight = np.ascontiguousarray(_eight(frame, image, shift) if shift else frame).astype(np.uint8, copy=False)
    if not _is_ybr(image):
        return eight
    if image.photometric.startswith("YBR_PARTIAL"):
        eight = np.concatenate((_FULL_Y[eight[..., :1]], _FULL_C[eight[..., 1:]]), axis=-1)
    return from_ybr(eight)


def _eight(frame: Pixels, image: Image, shift: int) -> Pixels:
    """The upper eight bits of those that are stored: what stands above the high bit is none of the sample."""
    bits = np.ascontiguousarray(frame, image.dtype).view(f"u{image.dtype.itemsize}")
    upper: Pixels = (bits >> bits.dtype.type(shift)) & bits.dtype.type(0xFF)
    return upper


def _is_ybr(image: Image) -> bool:
    """Whether the samples still are luminance and chroma.

    Lossy JPEG's decoder gives RGB. JPEG 2000's undoes what the codestream says, which is YBR_ICT and YBR_RCT; YBR_FULL
    went into it. The integers of YBR_RCT have a bit more than the samples, so outside JPEG 2000 there is none.
    """
    if image.transfer_syntax_uid in JPEG_LOSSY:
        return False
    if image.photometric.startswith(("YBR_FULL", "YBR_PARTIAL")):
        return True
    return image.photometric == "YBR_ICT" and image.transfer_syntax_uid in NATIVE | {RLE_LOSSLESS}


def from_ybr(ybr: Rgb) -> Rgb:
    """Full-range YCbCr (ITU-T T.871) to RGB, to the nearest, halves up."""
    flat = ybr.reshape(-1, 3)
    out = np.empty(flat.shape, np.uint8)
    # In parts: what is in between takes ten times the bytes of the pixels.
    for start in range(0, len(flat), _PART):
        part = slice(start, start + _PART)
        y, cb, cr = flat[part, 0].astype(np.int16), flat[part, 1], flat[part, 2]
        out[part, 0] = np.clip(y + _RED[cr], 0, 255)
        out[part, 1] = np.clip(y + _GREEN[cb, cr], 0, 255)
        out[part, 2] = np.clip(y + _BLUE[cb], 0, 255)
    return out.reshape(ybr.shape)
