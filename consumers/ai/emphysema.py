"""LAA-950: the part of the lungs that is at or below -950 HU, an index of emphysema (Gevenois et al. 1996)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from consumers.ai import codes
from consumers.ai.analysis import Analysed, Draft, NotAnalysed, Segment, Times
from consumers.ai.lungs import lungs_of
from consumers.ai.selection import Selection
from consumers.ai.volume import Volume
from streams.config import Section
from streams.events import Measurement, ModelRef

CODE_VERSION = 1


class Settings(Section, frozen=True, kw_only=True):
    """`low_hu` is the highest attenuation that counts; lungs of less than `lungs_ml_min` are no pair of lungs."""

    low_hu: float = -950.0
    lungs_ml_min: float = 500.0


@dataclass(frozen=True)
class Emphysema:
    """Implements `Analysis`."""

    deployment: str
    model: ModelRef
    selection: Selection
    chosen: Settings
    code_version: int = field(default=CODE_VERSION, init=False)

    @property
    def settings(self) -> Mapping[str, float]:
        return msgspec.structs.asdict(self.chosen)

    def analyse(self, volume: Volume) -> Analysed | NotAnalysed:
        began = time.perf_counter()
        lungs = lungs_of(volume)
        voxels = int(lungs.sum())
        lungs_ml = voxels * volume.voxel_mm3 / 1000
        if lungs_ml < self.chosen.lungs_ml_min:
            return NotAnalysed("no_lungs", f"Lungs of at least {self.chosen.lungs_ml_min:.0f} ml were not found.")
        share = 100 * float((volume.voxels[lungs] <= self.chosen.low_hu).sum()) / voxels
        finding = Draft(
            category="measurement",
            code=codes.EMPHYSEMA,
            location=codes.LUNG,
            measurements=(
                Measurement(code=codes.LAA_950, value=round(share, 2), unit=codes.PERCENT),
                Measurement(code=codes.VOLUME, value=round(lungs_ml, 1), unit=codes.ML),
            ),
        )
        times = Times(prepared_ms=1000 * (time.perf_counter() - began), inferred_ms=0.0)
        return Analysed((finding,), times, Segment("Lungs", codes.ANATOMY, codes.LUNG, lungs))
