"""The grayscale pipeline as one table: for samples of at most 16 bits each cell of memory has its one grey.

The rule to 8 bits (or 16): the VOI stage gives 0 to 1, that times 255 (65,535) is rounded to the nearest, halves up.
Halves are told apart from what only arithmetic makes of them by a millionth, so any order of operations ends the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.pixels.image import Image
from streams.rendering.modality import Rescale
from streams.rendering.tables import Lut, Real
from streams.rendering.voi import Voi

# Of 8 or 16 bits.
Grey = NDArray[np.unsignedinteger]
Samples = NDArray[np.integer] | NDArray[np.floating]

_EPSILON = 1e-6
# Wide samples go through the pipeline in so many at a time: memory is the frame's, not eight times it.
_CHUNK = 1 << 20
_LOOKED_UP = 1 << 18


@dataclass(frozen=True, eq=False)
class Pipeline:
    """`padding` are the lowest and highest stored values that are no image: they are shown black, whatever else is."""

    modality: Rescale | Lut
    voi: Voi
    inverted: bool
    padding: tuple[float, float] | None = None

    def shown(self, stored: Real, highest: int) -> Grey:
        """Stored values as greys of 0 to `highest`: 255 or 65,535."""
        shown = self.voi.shown(self.modality.mapped(stored))
        if self.inverted:
            shown = 1.0 - shown
        greys = quantised(shown, highest)
        if self.padding is not None:
            greys[(stored >= self.padding[0]) & (stored <= self.padding[1])] = 0
        return greys


def quantised(shown: Real, highest: int) -> Grey:
    """0 to 1 as 0 to `highest`, to the nearest, halves up."""
    return np.floor(shown * highest + (0.5 + _EPSILON)).astype(_dtype(highest))


def _dtype(highest: int) -> np.dtype[np.unsignedinteger]:
    return np.dtype(np.uint8) if highest < 256 else np.dtype(np.uint16)


def greys(frame: Samples, image: Image, pipeline: Pipeline, highest: int) -> Grey:
    """(rows, columns) of 8 or 16 bits."""
    if frame.dtype.kind == "f" or frame.dtype.itemsize > 2:
        return _directly(frame, pipeline, highest)
    table = pipeline.shown(cells(image).astype(np.float64), highest)
    return looked_up(table, as_cells(frame, image))


def looked_up(table: NDArray[np.unsignedinteger], at: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
    """Entries of a table that has one for each content of a cell. In parts that fit into a processor's own memory: half
    of the time, and no index of eight bytes for each pixel of the frame."""
    flat = at.reshape(-1)
    out = np.empty((len(flat), *table.shape[1:]), table.dtype)
    for start in range(0, len(flat), _LOOKED_UP):
        part = slice(start, start + _LOOKED_UP)
        # No index is out of range: with a mode that says what to do then, numpy need not check first.
        table.take(flat[part], axis=0, out=out[part], mode="clip")
    return out.reshape(*at.shape, *table.shape[1:])


def cells(image: Image) -> NDArray[np.int32]:
    """The stored value of each content of a cell of memory (PS3.5 section 8.1.1).

    Bits above the high bit and below the stored ones are none of it: old files keep overlays there.
    """
    width, bits = image.dtype.itemsize * 8, min(image.bits_stored, image.dtype.itemsize * 8)
    shift = image.bits_below if image.is_native else 0
    stored = np.arange(1 << bits, dtype=np.int32)
    if image.signed:
        stored[1 << (bits - 1) :] -= 1 << bits
    return np.tile(np.repeat(stored, 1 << shift), 1 << (width - bits - shift))


def as_cells(frame: Samples, image: Image) -> NDArray[np.unsignedinteger]:
    same = np.ascontiguousarray(frame, image.dtype)
    return same.view(f"u{image.dtype.itemsize}")


def stored_values(frame: Samples, image: Image) -> Real:
    """What some samples are as stored values."""
    if frame.dtype.kind == "f" or frame.dtype.itemsize > 2:
        return frame.astype(np.float64)
    stored: Real = cells(image)[as_cells(frame, image)].astype(np.float64)
    return stored


def _directly(frame: Samples, pipeline: Pipeline, highest: int) -> Grey:
    flat = frame.reshape(-1)
    out: Grey = np.empty(flat.shape, _dtype(highest))
    for start in range(0, len(flat), _CHUNK):
        part = np.nan_to_num(flat[start : start + _CHUNK].astype(np.float64), posinf=1e300, neginf=-1e300)
        out[start : start + _CHUNK] = pipeline.shown(part, highest)
    return out.reshape(frame.shape)
