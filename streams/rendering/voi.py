"""Values of interest: window or table, to 0 (black) to 1 (white) (PS3.3 section C.11.2, and C.7.6.16.2.10)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from streams.part10 import Part10
from streams.rendering.nested import Items
from streams.rendering.scopes import Scopes
from streams.rendering.tables import Lut, Real, table
from streams.rendering.values import decimals

VOI_LUT, FRAME_VOI_LUT, LUT_EXPLANATION = 0x00283010, 0x00289132, 0x00283003
CENTER, WIDTH, WINDOW_EXPLANATION, FUNCTION = 0x00281050, 0x00281051, 0x00281055, 0x00281056

Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
FUNCTIONS: tuple[Function, ...] = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_BY_NAME: dict[str, Function] = {"": "LINEAR", **{name: name for name in FUNCTIONS}}


@dataclass(frozen=True)
class Window:
    """A window in units of the modality. A width that `function` does not take, and no number, raises ValueError."""

    center: float
    width: float
    function: Function = "LINEAR"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.center) and math.isfinite(self.width)):
            raise ValueError("a window has two finite numbers")
        if not (self.width >= 1 if self.function == "LINEAR" else self.width > 0):
            raise ValueError(f"a {self.function} window has no width of {self.width:g}")

    def shown(self, inputs: Real) -> Real:
        if self.function == "SIGMOID":
            steepness = np.clip(-4.0 * (inputs - self.center) / self.width, -700.0, 700.0)
            return 1.0 / (1.0 + np.exp(steepness))
        one = self.function == "LINEAR"
        center, width = (self.center - 0.5, self.width - 1.0) if one else (self.center, self.width)
        if width == 0:
            # PS3.3 section C.11.2.1.2.1: a window of width 1 is a threshold.
            return (inputs > center).astype(np.float64)
        return np.clip((inputs - center) / width + 0.5, 0.0, 1.0)


@dataclass(frozen=True)
class Between:
    """Black at `low`, white at `high`, which may be below it."""

    low: float
    high: float

    def shown(self, inputs: Real) -> Real:
        return np.clip((inputs - self.low) / ((self.high - self.low) or 1.0), 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Table:
    lut: Lut

    def shown(self, inputs: Real) -> Real:
        return self.lut.mapped(inputs) / self.lut.highest


Voi = Window | Between | Table


def of_file(scopes: Scopes, frame: int, choice: int | str, *, signed: bool, notes: set[str]) -> Voi | None:
    """The table or window that a file has for a frame; None where it has none that can be used.

    `choice` is an index or an explanation, of tables first, then of windows. Without a match the first of them counts.
    """
    for scope in scopes.of(frame, FRAME_VOI_LUT):
        found = [*_tables(scope, signed, notes), *_windows(scope, notes)]
        if found:
            return _chosen(found, choice, notes)
    return None


def explanations(scopes: Scopes, frame: int) -> tuple[str, ...]:
    """What the choices of a frame say of themselves, in the order of their index."""
    for scope in scopes.of(frame, FRAME_VOI_LUT):
        found = [*_tables(scope, False, set()), *_windows(scope, set())]
        if found:
            return tuple(text for text, _ in found)
    return ()


def _chosen(found: list[tuple[str, Voi]], choice: int | str, notes: set[str]) -> Voi:
    if isinstance(choice, int):
        if 0 <= choice < len(found):
            return found[choice][1]
    else:
        named = [voi for text, voi in found if text.casefold() == choice.casefold()]
        if named:
            return named[0]
    notes.add("window_not_found")
    return found[0][1]


def _tables(scope: Part10, signed: bool, notes: set[str]) -> Iterator[tuple[str, Voi]]:
    items = Items(scope, VOI_LUT)
    for index in range(min(len(items), 64)):
        item = items.item(index)
        found = table(item, signed=signed) if item is not None else None
        if item is None or found is None:
            notes.add("voi_lut_broken")
        else:
            yield item.text(LUT_EXPLANATION) or "", Table(found)


def _windows(scope: Part10, notes: set[str]) -> Iterator[tuple[str, Voi]]:
    centers, widths = decimals(scope, CENTER), decimals(scope, WIDTH)
    texts = (scope.text(WINDOW_EXPLANATION) or "").split("\\")
    function = _BY_NAME.get((scope.text(FUNCTION) or "").upper())
    if function is None:
        notes.add("voi_function_unknown")
        function = "LINEAR"
    for index, (center, width) in enumerate(zip(centers, widths, strict=False)):
        try:
            yield texts[index].strip() if index < len(texts) else "", Window(center, width, function)
        except ValueError:
            notes.add("window_broken")
