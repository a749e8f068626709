"""Which part of a mask is which finding: each has a segment of its own, so that a report can point at it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.events import Geometry, ResultFinding


@dataclass(frozen=True, eq=False)
class Segments:
    """`labels` is (slices, rows, columns): 0 for nothing, else a segment's number. `of_finding` is by finding id.

    `rest` is the number of what belongs to no box of a finding, or None.
    """

    labels: NDArray[np.uint16]
    of_finding: Mapping[str, int]
    rest: int | None

    @property
    def count(self) -> int:
        return int(self.labels.max(initial=0))


def segments(mask: NDArray[np.bool_], affine: NDArray[np.float64], findings: Sequence[ResultFinding]) -> Segments:
    """A finding's segment is what the mask has within its box; where two boxes meet, the first finding's.

    A finding that is nowhere in particular has what no other has. `affine` is that of `consumers.ai.volume.Volume`.
    """
    labels = np.zeros(mask.shape, np.uint16)
    free = mask.copy()
    numbers: dict[str, int] = {}
    for finding in findings:
        if finding.geometry is None:
            continue
        box = _box(finding.geometry, affine, mask.shape)
        if free[box].any():
            numbers[finding.finding_id] = len(numbers) + 1
            labels[box][free[box]] = len(numbers)
            free[box] = False
    rest = len(numbers) + 1 if free.any() else None
    if rest is not None:
        labels[free] = rest
        numbers |= {finding.finding_id: rest for finding in findings if finding.geometry is None}
    return Segments(labels, numbers, rest)


def _box(geometry: Geometry, affine: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The voxels between the outermost points, those at the edge included."""
    points = np.asarray(geometry.points, np.float64).reshape(-1, 3)
    places = np.linalg.solve(affine, np.column_stack([points, np.ones(len(points))]).T)[:3]
    first = np.maximum(np.ceil(places.min(axis=1) - 0.5), 0).astype(int)
    last = np.minimum(np.floor(places.max(axis=1) + 0.5), np.asarray(shape) - 1).astype(int)
    return tuple(slice(start, end + 1) for start, end in zip(first.tolist(), last.tolist(), strict=True))
