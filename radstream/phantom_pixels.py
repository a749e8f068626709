"""The phantom's stored pixels: anatomy computed once for each level, noise as a reconstruction kernel leaves it.

Stored values are unsigned, 12 of 16 bits, little endian: Hounsfield units plus 1024. The noise is as strong as that of
real scanners, since it decides how well a lossless codec does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from radstream.phantom_anatomy import AIR, Chest, Image

Stored = npt.NDArray[np.int16]
Projection = Literal["AP", "LATERAL"]
AP: Projection = "AP"
LATERAL: Projection = "LATERAL"

INTERCEPT = -1024
STORED_MAX = 4095
# More sections than this share the anatomy of their nearest level; each still has noise of its own.
LEVELS_MAX = 96


@dataclass(frozen=True)
class Kernel:
    """`cutoff` in cycles per pixel; `noise_hu` is the standard deviation in Hounsfield units."""

    cutoff: float
    noise_hu: float


KERNELS = {"LUNG": Kernel(0.35, 24.0), "SOFT": Kernel(0.18, 13.0), "LOC": Kernel(0.35, 6.0)}


def level_of(index: int, images: int) -> float:
    """The level of a section, from 0.02 (top of the lungs) to 0.98 (below the diaphragm)."""
    return 0.02 + 0.96 * (index + 0.5) / images


class Pixels:
    """Sections and localisers of one chest of `matrix` rows and columns: the seed's, or the one that is given."""

    def __init__(self, seed: int, matrix: int, chest: Chest | None = None) -> None:
        self._seed = seed
        self._matrix = matrix
        self._chest = chest or Chest(seed, matrix)
        self._anatomy: dict[int, Stored] = {}
        self._noise = {name: _noise_field(seed, matrix, kernel) for name, kernel in KERNELS.items()}

    def section(self, kernel: str, index: int, images: int) -> bytes:
        """The `index`-th of `images` sections."""
        return self._with_noise(self._at(level_of(index, images)), kernel, index)

    def localiser(self, projection: Projection, index: int) -> bytes:
        """A projection of the whole chest: rows from head to feet."""
        axis = 0 if projection == AP else 1
        lines = np.stack([(self._at(level_of(row, 32)) + INTERCEPT - AIR).mean(axis=axis) for row in range(32)])
        rows = np.linspace(0, 31, self._matrix)
        below = np.minimum(rows.astype(int), 30)
        part = (rows - below)[:, np.newaxis]
        dense = lines[below] * (1 - part) + lines[below + 1] * part
        return self._with_noise((dense * 1.5 + AIR - INTERCEPT).astype(np.int16), "LOC", index)

    def nodules(self, index: int, images: int) -> Image:
        """How much of each pixel of the `index`-th of `images` sections is nodule, from 0 to 1."""
        return self._chest.nodules(round(level_of(index, images) * LEVELS_MAX) / LEVELS_MAX)

    def _at(self, level: float) -> Stored:
        step = round(level * LEVELS_MAX)
        if step not in self._anatomy:
            self._anatomy[step] = _store(self._chest.axial(step / LEVELS_MAX))
        return self._anatomy[step]

    def _with_noise(self, anatomy: Stored, kernel: str, index: int) -> bytes:
        """Takes a window of the kernel's noise field that only this image has."""
        random = np.random.default_rng([self._seed, 3, index, sorted(KERNELS).index(kernel)])
        row, column = random.integers(0, self._matrix, 2)
        field = self._noise[kernel][row : row + self._matrix, column : column + self._matrix]
        pixels = anatomy + field if random.integers(2) else anatomy - field
        np.clip(pixels, 0, STORED_MAX, out=pixels)
        return pixels.astype("<i2", copy=False).tobytes()


def _store(image: Image) -> Stored:
    return np.rint(image - INTERCEPT).astype(np.int16)


def _noise_field(seed: int, matrix: int, kernel: Kernel) -> Stored:
    """White noise through a ramp with a soft cutoff: what filtered back-projection does to the detector's noise.

    Twice as wide and high as an image.
    """
    side = 2 * matrix
    white = np.random.default_rng([seed, 2, round(kernel.cutoff * 1000)]).standard_normal((side, side), np.float32)
    frequency = np.hypot(np.fft.fftfreq(side)[:, np.newaxis], np.fft.rfftfreq(side)[np.newaxis])
    shaped = np.fft.irfft2(np.fft.rfft2(white) * np.sqrt(frequency) * np.exp(-((frequency / kernel.cutoff) ** 2)))
    field: Stored = np.rint(shaped * (kernel.noise_hu / shaped.std())).astype(np.int16)
    return field
