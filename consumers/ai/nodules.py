"""Nodules of the lung on CT: what a network says of each pixel becomes findings with a place and a size."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from consumers.ai import codes
from consumers.ai.analysis import Analysed, Draft, Segment, Severity, Times
from consumers.ai.backends.backend import BATCH_MAX, Backend, sampling_of
from consumers.ai.places import Box, box_of, long_axis_mm
from consumers.ai.repository import Model
from consumers.ai.sampling import Sampled
from consumers.ai.selection import Selection
from consumers.ai.volume import Volume
from streams.config import Section
from streams.events import Measurement, ModelRef

CODE_VERSION = 1
# More than this is no list that a person reads: the largest are listed, the mask has them all.
FINDINGS_MAX = 50
# By long axis in mm, as guidelines for incidental nodules have it (Fleischner Society 2017): 6 and 8 mm change what is
# done, and above 30 mm it is called a mass.
_SEVERITIES: tuple[tuple[float, Severity], ...] = ((30.0, "high"), (8.0, "moderate"), (0.0, "low"))


class Settings(Section, frozen=True, kw_only=True):
    """A voxel of `threshold` or more belongs to a nodule; together they have at least `volume_min_mm3`."""

    threshold: float = 0.5
    volume_min_mm3: float = 60.0


@dataclass(frozen=True)
class Nodules:
    """Implements `Analysis`."""

    deployment: str
    model: ModelRef
    selection: Selection
    backend: Backend
    loaded: Model
    chosen: Settings
    code_version: int = field(default=CODE_VERSION, init=False)

    @property
    def settings(self) -> Mapping[str, float]:
        return msgspec.structs.asdict(self.chosen)

    def analyse(self, volume: Volume) -> Analysed:
        began = time.perf_counter()
        sampled = Sampled(sampling_of(self.loaded), volume)
        inferred_s = 0.0
        likely = np.zeros(volume.voxels.shape, np.float16)
        mask = np.zeros(volume.voxels.shape, np.bool_)
        done = 0
        for batch in sampled.batches(BATCH_MAX):
            asked = time.perf_counter()
            answer = self.backend.run(batch)
            inferred_s += time.perf_counter() - asked
            for plane in answer[:, 0]:
                # Most images have nothing that anybody will look at again.
                if plane.max() >= self.chosen.threshold:
                    likely[done] = sampled.grid.back(plane)
                    mask[done] = likely[done] >= self.chosen.threshold
                done += 1
        found = self._found(volume, likely, mask)
        prepared_s = time.perf_counter() - began - inferred_s
        segment = Segment("Nodules", codes.ABNORMAL_STRUCTURE, codes.NODULE, mask) if found else None
        return Analysed(found, Times(1000 * prepared_s, 1000 * inferred_s), segment)

    def _found(self, volume: Volume, likely: NDArray[np.float16], mask: NDArray[np.bool_]) -> tuple[Draft, ...]:
        """Takes out of `mask` what is too small, and describes the largest of what stays."""
        part = _around(mask)
        labels, _ = ndimage.label(mask[part], np.ones((3, 3, 3)))
        sizes = np.bincount(labels.ravel())
        kept = sizes * volume.voxel_mm3 >= self.chosen.volume_min_mm3
        kept[0] = False
        mask[part] = kept[labels]
        boxes: list[Box] = ndimage.find_objects(labels)
        largest = sorted(np.flatnonzero(kept), key=lambda label: -sizes[label])[:FINDINGS_MAX]
        return tuple(
            _draft(volume, _moved(boxes[label - 1], part), labels[boxes[label - 1]] == label, likely)
            for label in largest
        )


def _around(mask: NDArray[np.bool_]) -> Box:
    """The box of all that is set; that of one voxel where nothing is."""
    slices = _extent(mask.any(axis=(1, 2)))
    # Most images have nothing: the rest is looked for in those that have.
    within = mask[slices]
    return slices, _extent(within.any(axis=(0, 2))), _extent(within.any(axis=(0, 1)))


def _extent(line: NDArray[np.bool_] | np.bool_) -> slice:
    found = np.flatnonzero(line)
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 1)


def _moved(box: Box, origin: Box) -> Box:
    """A box within `origin` as one of the whole volume."""
    slices, rows, columns = (
        slice(start.start + part.start, start.start + part.stop) for part, start in zip(box, origin, strict=True)
    )
    return slices, rows, columns


def _draft(volume: Volume, box: Box, mask: NDArray[np.bool_], likely: NDArray[np.float16]) -> Draft:
    """`mask` is of the box."""
    axis = long_axis_mm(volume, mask)
    return Draft(
        category="detection",
        code=codes.NODULE,
        location=codes.LUNG,
        geometry=box_of(volume, box),
        measurements=(
            Measurement(code=codes.VOLUME, value=round(float(mask.sum()) * volume.voxel_mm3, 1), unit=codes.MM3),
            Measurement(code=codes.LONG_AXIS, value=round(axis, 1), unit=codes.MM),
        ),
        confidence=round(float(likely[box][mask].mean(dtype=np.float64)), 4),
        severity=next(severity for least, severity in _SEVERITIES if axis >= least),
    )
