"""Where the slices of a NIfTI volume lie, in DICOM's terms: from right-anterior-superior to left-posterior-superior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from radstream.importing.made import Refused

Floats = np.ndarray[Any, np.dtype[np.float64]]
# To the patient's right, front and head are NIfTI's axes; to the left, back and head are DICOM's.
_LPS: Final = np.diag((-1.0, -1.0, 1.0, 1.0))
_SKEW_MAX: Final = 1e-3


@dataclass(frozen=True)
class Geometry:
    """Of a volume with (columns, rows, slices) voxels, as its axes `flips` say turned round.

    `row` and `column` are the direction cosines of Image Orientation (Patient); `spacing` is (between rows, between
    columns) and `between` the distance of slices, in mm; `origin` and `step` are positions in mm (PS3.3 C.7.6.2.1.1).
    """

    flips: tuple[bool, bool, bool]
    row: Floats
    column: Floats
    spacing: tuple[float, float]
    between: float
    origin: Floats
    step: Floats

    def position(self, nth: int) -> Floats:
        """The centre of the first voxel of the `nth` slice, counted from 0."""
        return np.asarray(self.origin + nth * self.step)


def of_affine(affine: Floats, shape: tuple[int, int, int], mm: float) -> Geometry:
    """`affine` takes voxel indices to NIfTI's world, `mm` is one of its units.

    Rows go to the left or the back and columns to the back or the feet, as readers expect to see them, and slices
    follow the normal of the two: axes that go the other way are turned round, which changes no voxel.
    Raises Refused where rows and columns are not at right angles, or an axis has no length.
    """
    world = np.asarray(_LPS @ np.asarray(affine, dtype=np.float64))
    world[:3] *= mm
    flips = [_is_turned(world[:3, 0]), _is_turned(world[:3, 1]), False]
    for axis in (0, 1):
        if flips[axis]:
            world = _turned(world, axis, shape[axis])
    lengths = np.linalg.norm(world[:3, :3], axis=0)
    if not np.isfinite(world).all() or (lengths <= 0).any():
        raise Refused("its sform or qform is no geometry: an axis has no length; mend its header")
    row, column = world[:3, 0] / lengths[0], world[:3, 1] / lengths[1]
    if abs(float(row @ column)) > _SKEW_MAX:
        raise Refused("its rows and columns are not at right angles (its sform shears), so no slice of DICOM holds it")
    normal = np.cross(row, column)
    between = float(world[:3, 2] @ normal)
    if between < 0:
        flips[2] = True
        world = _turned(world, 2, shape[2])
    if abs(between) < 1e-6:
        raise Refused("its slices lie in one plane; mend its sform or qform")
    return Geometry(
        flips=(flips[0], flips[1], flips[2]),
        row=row,
        column=column,
        spacing=(float(lengths[1]), float(lengths[0])),
        between=abs(between),
        origin=world[:3, 3].copy(),
        step=world[:3, 2].copy(),
    )


def _is_turned(direction: Floats) -> bool:
    main = int(np.argmax(np.abs(direction)))
    return bool(direction[main] > 0) if main == 2 else bool(direction[main] < 0)


def _turned(world: Floats, axis: int, count: int) -> Floats:
    turned = world.copy()
    turned[:3, 3] += (count - 1) * world[:3, axis]
    turned[:3, axis] *= -1
    return turned
