"""Stored values to the unit of the modality (PS3.3 section C.11.1, and C.7.6.16.2.9 for frames of their own)."""

from __future__ import annotations

from dataclasses import dataclass

from streams.part10 import Part10
from streams.rendering.nested import first
from streams.rendering.scopes import Scopes
from streams.rendering.tables import Lut, Real, table
from streams.rendering.values import decimal

MODALITY_LUT, PIXEL_VALUE_TRANSFORMATION = 0x00283000, 0x00289145
INTERCEPT, SLOPE, SOP_CLASS = 0x00281052, 0x00281053, 0x00080016
# X-ray angiography, radiofluoroscopy and the retired bi-plane: their table gives back what is linear to the dose, for
# measuring. Windows are for the stored values, which are meant to be looked at (PS3.3 section C.8.7.1.1.2).
_TABLE_FOR_MEASURING = frozenset(f"1.2.840.10008.5.1.4.1.1.12.{number}" for number in (1, 2, 3))


@dataclass(frozen=True)
class Rescale:
    slope: float = 1.0
    intercept: float = 0.0

    def mapped(self, inputs: Real) -> Real:
        return inputs if self == Rescale() else inputs * self.slope + self.intercept


def modality(scopes: Scopes, frame: int, *, signed: bool, notes: set[str]) -> Rescale | Lut:
    """The first table or pair of slope and intercept that can be used; a broken one is a note."""
    if scopes.file.text(SOP_CLASS) in _TABLE_FOR_MEASURING:
        return Rescale()
    for scope in scopes.of(frame, PIXEL_VALUE_TRANSFORMATION):
        if (item := first(scope, MODALITY_LUT)) is not None:
            if (found := table(item, signed=signed)) is not None:
                return found
            notes.add("modality_lut_broken")
        if (rescale := _rescale(scope, notes)) is not None:
            return rescale
    return Rescale()


def gives_signed(stage: Rescale | Lut, *, bits: int, signed: bool) -> bool:
    """Whether what the stage gives of stored values of so many bits may be below zero. The first input of a VOI table
    has that sign, not that of the stored values, which is `signed` (PS3.3 section C.11.2.1.1)."""
    if isinstance(stage, Lut):
        return False
    # Which of the two is lower depends on the slope.
    of_zero, of_highest = stage.intercept, stage.intercept + stage.slope * ((1 << bits) - 1)
    return signed or min(of_zero, of_highest) < 0


def _rescale(scope: Part10, notes: set[str]) -> Rescale | None:
    slope, intercept = decimal(scope, SLOPE), decimal(scope, INTERCEPT)
    if slope is None or intercept is None:
        return None
    if slope == 0:
        # Every pixel would be of one value: nobody means that.
        notes.add("rescale_slope_zero")
        return None
    return Rescale(slope, intercept)
