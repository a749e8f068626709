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
# Its own edge counts too, so an airway is not quite as dark as air.
_AIRWAY_MM2_MAX, _AIRWAY_HU_MAX = 900.0, -920.0

Mask = NDArray[np.bool_]


def lungs_of(volume: Volume) -> Mask:
    """A mask shaped like the volume, (slices, rows, columns); empty where there are no lungs.

    Air that touches the edge of an image is outside the body. The trachea and bowel gas are left out where they are
    apart from the lungs and smaller than one; where airways are open to them, image by image.
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
    """Image by image: without airways, and with the vessels within."""
    _, down, along = volume.spacing_mm
    reach = max(1, round(_CLOSED_MM / ((down + along) / 2)))
    closed = np.zeros_like(mask)
    for index in np.flatnonzero(mask.any(axis=(1, 2))):
        lungs = mask[index] & ~_airways(mask[index], volume, int(index))
        if not lungs.any():
            continue
        rows, columns = ndimage.find_objects(lungs.astype(np.int8))[0]
        part = np.pad(lungs[rows, columns], reach)
        whole = ndimage.binary_fill_holes(ndimage.binary_closing(part, iterations=reach))
        closed[index, rows, columns] = whole[reach:-reach, reach:-reach]
    return closed


def _airways(image: Mask, volume: Volume, index: int) -> Mask:
    """Parts of an image that hold nothing but air, and are no larger than a trachea."""
    _, down, along = volume.spacing_mm
    labels, count = ndimage.label(image)
    parts = np.arange(1, count + 1)
    areas_mm2 = np.bincount(labels.ravel(), minlength=count + 1)[1:] * down * along
    means_hu = ndimage.mean(volume.voxels[index], labels, parts)
    airways = np.flatnonzero((areas_mm2 <= _AIRWAY_MM2_MAX) & (np.asarray(means_hu) <= _AIRWAY_HU_MAX)) + 1
    return np.isin(labels, airways)
