"""Images of one series as one array in Hounsfield units, and where it is in the patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from consumers.ai.plane import OutOfScope, Plane, Vector, plane_of
from streams.mapped import File

__all__ = ["OutOfScope", "Volume", "volume_of"]

# 1 GiB: 2,048 images of 512 by 512.
VOXELS_MAX = 1 << 29
# A tilted gantry leans by 30 degrees at most (PS3.3 section C.8.2.1: Gantry/Detector Tilt).
_AXIAL_COSINE_MIN = 0.85
_PARALLEL_TOLERANCE = 1e-3
_SPACING_TOLERANCE = 1e-3
# Positions are rounded, some to a tenth of a millimetre; a missing image is a whole step.
_STEP_TOLERANCE = 0.2
_SAME_PLACE_MM = 1e-2


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

    @property
    def voxel_mm3(self) -> float:
        across, down, along = self.spacing_mm
        return across * down * along


def volume_of(files: Sequence[File], images_min: int = 1) -> Volume | OutOfScope:
    """The volume in the Part 10 files of one series, in any order.

    Out of scope is whatever makes no volume: fewer than `images_min` images (a single one has its slice thickness as
    spacing), localisers, no geometry, images of several patients or with one SOP Instance UID, planes that are not
    parallel, not axial or not evenly spaced, two images at one position, images of several sizes, colour, and bytes
    that cannot be decoded.
    """
    if len(files) < max(images_min, 1):
        return OutOfScope("too_few_images", f"{len(files)} images; the model asks for {images_min}.")
    planes = []
    for data in files:
        plane = plane_of(data)
        if isinstance(plane, OutOfScope):
            return plane
        planes.append(plane)
    return _apart(planes) or _stacked(sorted(planes, key=lambda plane: float(plane.position @ planes[0].normal)))


def _apart(planes: Sequence[Plane]) -> OutOfScope | None:
    """What keeps these images from being one volume."""
    first = planes[0]
    if first.image.rows * first.image.columns * len(planes) > VOXELS_MAX:
        return OutOfScope("too_large", f"More than {VOXELS_MAX} voxels.")
    # What is said of a volume is said of the patient and the images that its headers name.
    if any(one.patient != first.patient for one in planes):
        return OutOfScope("mixed_patients", "Its images name several patients.")
    if len({one.sop_instance_uid for one in planes}) < len(planes):
        return OutOfScope("duplicate_instances", "Two of its images have one name and other content.")
    if any((one.image.rows, one.image.columns) != (first.image.rows, first.image.columns) for one in planes):
        return OutOfScope("mixed_sizes", "Its images are of several sizes.")
    if any(one.frame_of_reference_uid != first.frame_of_reference_uid for one in planes):
        return OutOfScope("mixed_frames", "Its images are in several frames of reference.")
    if not all(_is_parallel(first, one) for one in planes):
        return OutOfScope("not_parallel", "Its images are not parallel, or their pixels are of several sizes.")
    if abs(first.normal[2]) < _AXIAL_COSINE_MIN:
        return OutOfScope("not_axial", "Its images are not axial.")
    return None


def _is_parallel(one: Plane, other: Plane) -> bool:
    turned = max(np.abs(one.along_row - other.along_row).max(), np.abs(one.along_column - other.along_column).max())
    scaled = np.abs(np.subtract(one.spacing_mm, other.spacing_mm)).max()
    return bool(turned < _PARALLEL_TOLERANCE and scaled < _SPACING_TOLERANCE)


def _stacked(planes: Sequence[Plane]) -> Volume | OutOfScope:
    step = _step(planes)
    if isinstance(step, OutOfScope):
        return step
    first = planes[0]
    voxels = np.empty((len(planes), first.image.rows, first.image.columns), np.int16)
    headers = []
    for index, plane in enumerate(planes):
        pixels, header = plane.hounsfield(), plane.header()
        if isinstance(pixels, OutOfScope):
            return pixels
        if isinstance(header, OutOfScope):
            return header
        voxels[index] = pixels
        headers.append(header)
    down, along = first.spacing_mm
    affine = np.eye(4)
    affine[:3, 0] = step
    # A step down the rows of the array is a step along a column of the image.
    affine[:3, 1] = first.along_column * down
    affine[:3, 2] = first.along_row * along
    affine[:3, 3] = first.position
    return Volume(
        voxels=voxels,
        spacing_mm=(abs(float(step @ first.normal)), down, along),
        affine=affine,
        frame_of_reference_uid=first.frame_of_reference_uid,
        sop_instance_uids=tuple(plane.sop_instance_uid for plane in planes),
        headers=tuple(headers),
    )


def _step(planes: Sequence[Plane]) -> Vector | OutOfScope:
    """The vector from one image to the next, in mm; a tilted gantry's is not along the normal."""
    first, last = planes[0], planes[-1]
    if len(planes) == 1:
        if first.thickness_mm <= 0:
            return OutOfScope("no_geometry", "A single image does not say how thick it is.")
        return first.normal * first.thickness_mm
    places = np.array([plane.position for plane in planes])
    if np.abs(np.diff(places @ first.normal)).min() < _SAME_PLACE_MM:
        return OutOfScope("duplicate_positions", "Two of its images are at one position.")
    step: Vector = (last.position - first.position) / (len(planes) - 1)
    even = first.position + np.arange(len(planes))[:, np.newaxis] * step
    if np.linalg.norm(places - even, axis=1).max() > _STEP_TOLERANCE * float(np.linalg.norm(step)):
        return OutOfScope("uneven_spacing", "An image is missing, or its images are not evenly spaced.")
    return step
