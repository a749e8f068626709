"""Images of one series as one array in Hounsfield units, and where it is in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset


@dataclass(frozen=True)
class OutOfScope:
    """The images are none that the model was made for. `code` is a stable name; `detail` has no patient data."""

    code: str
    detail: str


@dataclass(frozen=True, eq=False)
class Volume:
    """Axial images, ordered by their position along the normal of their planes.

    `voxels` is (slices, rows, columns) in Hounsfield units. `spacing_mm` is (between slices, between rows, between
    columns). `affine` (4, 4) takes (slice, row, column, 1) to (x, y, z, 1) in millimetres of the patient's coordinates
    (PS3.3 section C.7.6.2.1.1), the centre of a voxel. `headers` are the images' data sets without pixel data.
    """

    voxels: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]
    affine: NDArray[np.float64]
    frame_of_reference_uid: str
    sop_instance_uids: tuple[str, ...]
    headers: tuple[Dataset, ...]


def volume_of(files: Sequence[bytes], images_min: int = 1) -> Volume | OutOfScope:
    """The volume in the Part 10 files of one series, in any order.

    Out of scope is whatever makes no volume: fewer than `images_min` images (a single one has its slice thickness as
    spacing), localisers, no geometry, planes that are not parallel, not axial or not evenly spaced, two images at one
    position, images of several sizes, colour, and bytes that cannot be decoded.
    """
    return OutOfScope("no_images", f"{len(files)} images.")
