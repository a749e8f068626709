"""Chest CT as files and as volumes, for tests of models."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from functools import cache

import numpy as np
from pydicom.dataset import Dataset

from consumers.ai.volume import Volume, volume_of
from radstream.phantom import chest_ct


def file_of(dataset: Dataset) -> bytes:
    """A Part 10 file."""
    written = io.BytesIO()
    dataset.save_as(written, enforce_file_format=True)
    return written.getvalue()


def files_of(datasets: Iterable[Dataset]) -> list[bytes]:
    return [file_of(dataset) for dataset in datasets]


@cache
def chest(images: int = 64, matrix: int = 512, seed: int = 1) -> Volume:
    """The lung kernel series of a generated chest, read from its files."""
    found = volume_of(files_of(chest_ct(seed, (0, images, 0), matrix)))
    assert isinstance(found, Volume)
    return found


def drawn(paint: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray], spacing_mm: float = 2.5) -> Volume:
    """A volume of 40 images of 160 by 160 voxels; `paint` gives Hounsfield units for x, y, z in mm from the centre."""
    shape = (40, 160, 160)
    z, y, x = ((np.arange(count) - (count - 1) / 2) * spacing_mm for count in shape)
    hounsfield = paint(x[np.newaxis, np.newaxis], y[np.newaxis, :, np.newaxis], z[:, np.newaxis, np.newaxis])
    affine = np.array([[0, 0, spacing_mm, 0], [0, spacing_mm, 0, 0], [spacing_mm, 0, 0, 0], [0, 0, 0, 1]], float)
    voxels = np.broadcast_to(hounsfield, shape).astype(np.int16)
    return Volume(voxels, (spacing_mm,) * 3, affine, "1.2.3", tuple(f"1.2.3.{n}" for n in range(shape[0])), ())
