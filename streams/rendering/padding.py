"""Stored values that are no image (PS3.3 section C.7.5.1.1.2), and real ones (sections C.7.6.24 and C.7.6.25)."""

from __future__ import annotations

from streams.elements import PIXEL_DATA
from streams.part10 import Part10
from streams.rendering.values import reals, words

PADDING, PADDING_LIMIT = 0x00280120, 0x00280121
# By the pixel data that it is of: value, limit of a range, and bytes of each.
_REAL = {0x7FE00008: (0x00280122, 0x00280124, 4), 0x7FE00009: (0x00280123, 0x00280125, 8)}


def padding_of(file: Part10, *, signed: bool) -> tuple[float, float] | None:
    """Lowest and highest stored value that are no image: one, or all from it to the limit, on either side."""
    tag = PIXEL_DATA if file.pixel_data is None else file.pixel_data.tag
    values: tuple[float, ...]
    limits: tuple[float, ...]
    if tag in _REAL:
        value, limit, size = _REAL[tag]
        values, limits = reals(file, value, size), reals(file, limit, size)
    else:
        values, limits = words(file, PADDING, signed=signed), words(file, PADDING_LIMIT, signed=signed)
    limits = limits or values
    if len(values) != 1 or len(limits) != 1:
        return None
    return float(min(values[0], limits[0])), float(max(values[0], limits[0]))
