"""What a network sees: every scanner's pixels on one grid, with the images above and below.

The grid has its centre where the image has it. Pixels are averaged where the grid is coarser and interpolated where it
is finer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from consumers.ai.volume import Volume

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Sampling:
    """A network's input: `pixels` rows and columns of `pixel_mm`, and as channels the image below, the image itself and
    the one above, `step_mm` apart as nearly as there are images; Hounsfield units `window` become 0 to 1."""

    pixels: int
    pixel_mm: float
    step_mm: float
    window: tuple[float, float]

    @property
    def channels(self) -> int:
        return 3


class Grid:
    """The way from a volume's pixels to a network's and back; images are (rows, columns)."""

    def __init__(self, sampling: Sampling, volume: Volume) -> None:
        _, down, along = volume.spacing_mm
        _, rows, columns = volume.voxels.shape
        grid = (sampling.pixels, sampling.pixel_mm)
        self._onto = _weights(grid, (rows, down)), _weights(grid, (columns, along))
        self._back = _weights((rows, down), grid), _weights((columns, along), grid)

    def onto(self, image: Floats) -> Floats:
        return _placed(self._onto, image)

    def back(self, image: Floats) -> Floats:
        """0 outside of what the network saw."""
        return _placed(self._back, image)


class Sampled:
    """A volume as a network's input, slice after slice."""

    def __init__(self, sampling: Sampling, volume: Volume) -> None:
        low, high = sampling.window
        self.grid = Grid(sampling, volume)
        self._apart = max(1, round(sampling.step_mm / volume.spacing_mm[0]))
        scaled = (np.clip((image.astype(np.float32) - low) / (high - low), 0, 1) for image in volume.voxels)
        self._slices = np.stack([self.grid.onto(image) for image in scaled])

    def __len__(self) -> int:
        return len(self._slices)

    def batches(self, size: int) -> Iterator[Floats]:
        """Arrays of (at most `size`, channels, rows, columns)."""
        last = len(self) - 1
        for start in range(0, len(self), size):
            index = np.arange(start, min(start + size, len(self)))
            around = np.stack([index - self._apart, index, index + self._apart], axis=1)
            yield self._slices[np.clip(around, 0, last)]


def _placed(weights: tuple[sparse.csr_array, sparse.csr_array], image: Floats) -> Floats:
    rows, columns = weights
    placed: Floats = (columns @ (rows @ image).T).T
    return placed


def _weights(wanted: tuple[int, float], given: tuple[int, float]) -> sparse.csr_array:
    """The matrix that takes pixels of one line to those of another, both (count, mm) with one centre."""
    (count, spacing), (given_count, given_spacing) = wanted, given
    places = ((np.arange(count) - (count - 1) / 2) * spacing) / given_spacing + (given_count - 1) / 2
    reach = max(spacing / given_spacing, 1.0)
    away = np.abs(places[:, np.newaxis] - np.arange(given_count))
    weights = np.maximum(0, 1 - away / reach)
    total = weights.sum(axis=1, keepdims=True)
    return sparse.csr_array((weights / np.where(total > 0, total, 1)).astype(np.float32))
