"""The lungs on a chest CT, without weights: what is dark, inside the body, and large."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from consumers.ai.volume import Volume

# Between aerated lung and soft tissue.
AIR_HU_MAX = -400
# Less on one side is a bronchus, bowel gas, or a part of a lung that says nothing.
LUNG_ML_MIN = 150.0
# Vessels and the walls of small airways within a lung belong to it.
_CLOSED_MM = 4.0

Mask = NDArray[np.bool_]


def lungs_of(volume: Volume) -> Mask:
    """A mask shaped like the volume, (slices, rows, columns); empty where there are no lungs.

    Air that touches the edge of an image is outside the body. The trachea and bowel gas are left out where they are
    apart from the lungs and smaller than one.
    """
    air = volume.voxels < AIR_HU_MAX
    labels, _ = ndimage.label(air)
    sizes_ml = np.bincount(labels.ravel()) * volume.voxel_mm3 / 1000
    inside = sizes_ml >= LUNG_ML_MIN
    inside[0] = False
    for edge in (labels[:, 0], labels[:, -1], labels[:, :, 0], labels[:, :, -1]):
        inside[np.unique(edge)] = False
    return _closed(inside[labels], volume)


def _closed(mask: Mask, volume: Volume) -> Mask:
    """Image by image: the holes that are left are vessels."""
    _, down, along = volume.spacing_mm
    reach = [max(1, round(_CLOSED_MM / spacing)) for spacing in (down, along)]
    rows, columns = np.ogrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1]
    disc = (rows / reach[0]) ** 2 + (columns / reach[1]) ** 2 <= 1
    closed = np.zeros_like(mask)
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        closed[index] = ndimage.binary_fill_holes(ndimage.binary_closing(mask[index], disc))
    return closed
