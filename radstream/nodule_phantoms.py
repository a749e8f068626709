"""Phantoms whose nodules are known, pixel by pixel: what the demonstration network learns from and is tested on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consumers.ai.volume import Volume
from radstream.phantom_anatomy import FIELD_OF_VIEW_MM, HEIGHT_MM, Chest
from radstream.phantom_pixels import INTERCEPT, Pixels, level_of

MATRIX = 512
KERNELS = ("LUNG", "SOFT")
IMAGES = (48, 96)


@dataclass(frozen=True, eq=False)
class Known:
    """A volume, and how much of each voxel is nodule (0 to 1), in the same shape."""

    volume: Volume
    nodules: NDArray[np.float32]


def known(seed: int, nodules: int | None = None) -> Known:
    """The chest of a seed, from feet to head; the seed decides the kernel and the number of images too."""
    random = np.random.default_rng([seed, 6])
    kernel, images = str(random.choice(KERNELS)), int(random.integers(IMAGES[0], IMAGES[1] + 1))
    pixels = Pixels(seed, MATRIX, Chest(seed, MATRIX, nodules))
    sections = [pixels.section(kernel, index, images) for index in reversed(range(images))]
    voxels = np.stack([np.frombuffer(one, "<i2").reshape(MATRIX, MATRIX) for one in sections]) + INTERCEPT
    across = FIELD_OF_VIEW_MM / MATRIX
    between = (level_of(1, images) - level_of(0, images)) * HEIGHT_MM
    volume = Volume(
        voxels=voxels.astype(np.int16),
        spacing_mm=(between, across, across),
        affine=np.array([[0, 0, across, 0], [0, across, 0, 0], [between, 0, 0, 0], [0, 0, 0, 1]], np.float64),
        frame_of_reference_uid="",
        sop_instance_uids=(),
        headers=(),
    )
    return Known(volume, np.stack([pixels.nodules(index, images) for index in reversed(range(images))]))
