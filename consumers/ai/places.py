"""From voxels of a volume to places in the patient."""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from consumers.ai.volume import Volume
from streams.events import Geometry, ImageRef

Box = tuple[slice, slice, slice]


def box_of(volume: Volume, box: Box) -> Geometry:
    """The box of a mask: two opposite corners in mm of the patient's coordinates, voxels' edges and not their centres,
    and the images that it lies in."""
    edges = [(part.start - 0.5, part.stop - 0.5) for part in box]
    corners = np.array([(*corner, 1.0) for corner in product(*edges)]) @ volume.affine.T
    low, high = corners[:, :3].min(axis=0), corners[:, :3].max(axis=0)
    return Geometry(
        kind="mask",
        frame_of_reference_uid=volume.frame_of_reference_uid,
        points=tuple(round(float(value), 3) for value in (*low, *high)),
        images=tuple(ImageRef(sop_instance_uid=uid) for uid in volume.sop_instance_uids[box[0]]),
    )


def long_axis_mm(volume: Volume, mask: NDArray[np.bool_]) -> float:
    """The longest line within one image between voxels of a mask (slices, rows, columns), pixels' extent added."""
    _, down, along = volume.spacing_mm
    longest = 0.0
    for image in mask:
        places = np.argwhere(image & ~_inner(image)) * (down, along)
        if len(places):
            apart = np.linalg.norm(places[:, np.newaxis] - places[np.newaxis], axis=2)
            longest = max(longest, float(apart.max()))
    return longest + (down + along) / 2


def _inner(image: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels with four neighbours: no longest line ends in them."""
    around = np.pad(image, 1)
    return around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
