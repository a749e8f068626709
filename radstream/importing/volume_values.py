"""Voxels of any kind as 16 bits with slope and intercept: exactly where that can be, else in equal steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from pydicom.valuerep import format_number_as_ds

from radstream.importing.made import Refused

Values = np.ndarray[Any, np.dtype[Any]]
_STEPS: Final = 65_535
_HALF: Final = 32_767


@dataclass(frozen=True)
class Scale:
    """value = slope * stored + intercept; both as DICOM writes them, in 16 characters (PS3.5 section 6.2, DS)."""

    slope: str
    intercept: str
    signed: bool
    exact: bool
    has_nan: bool
    # What is taken from a voxel, and by what it is divided, to have what is stored.
    _less: float
    _by: float

    def stored(self, voxels: Values) -> bytes:
        """Little endian, (rows, columns). What is no number becomes the lowest value."""
        kind = np.dtype("<i2") if self.signed else np.dtype("<u2")
        if voxels.dtype.kind in "iu" and self._by == 1:
            return bytes((voxels.astype(np.int64) - int(self._less)).astype(kind).tobytes())
        limits = np.iinfo(kind)
        counted = np.rint((voxels.astype(np.float64) - self._less) / self._by)
        filled = np.nan_to_num(counted, nan=limits.min if self.signed else 0, posinf=limits.max, neginf=limits.min)
        return bytes(np.clip(filled, limits.min, limits.max).astype(kind).tobytes())


def scale_of(slices: Iterable[Values], slope: float, intercept: float, *, from_zero: bool = False) -> Scale:
    """`slices` are the voxels as the file stores them, `slope` and `intercept` what the file scales them by.

    `from_zero`: the intercept has to be 0, as PET images want it (PS3.3 section C.8.9.4). Raises Refused where nothing
    is in them.
    """
    low, high, whole, nan = _extent(slices)
    if from_zero and (intercept or not whole or max(-low, high) > _HALF):
        return _from_zero(low, high, slope, intercept, nan)
    if whole and low >= -32_768 and high <= 32_767:
        return _exact(slope, intercept, 0.0, nan, signed=low < 0)
    if whole and high - low <= _STEPS:
        # Counted from the lowest voxel, as what DICOM scales has 16 bits.
        return _exact(slope, intercept + slope * low, low, nan, signed=False)
    written = _step(slope * (high - low) / _STEPS)
    lowest = format_number_as_ds(intercept + slope * low)
    # Counted by what is written: what is read back is then right to half a step.
    less = (float(lowest) - intercept) / slope
    return Scale(written, lowest, signed=False, exact=False, has_nan=nan, _less=less, _by=float(written) / slope)


def _from_zero(low: float, high: float, slope: float, intercept: float, nan: bool) -> Scale:
    furthest = max(abs(slope * low + intercept), abs(slope * high + intercept))
    written = _step(furthest / _HALF)
    less, by = -intercept / slope, float(written) / slope
    return Scale(written, "0", signed=True, exact=False, has_nan=nan, _less=less, _by=by)


def _step(size: float) -> str:
    """Not smaller than `size` as DICOM writes it, so that the last step reaches the end."""
    return format_number_as_ds(math.copysign(max(abs(size), 1e-30) * (1 + 1e-9), size))


def _exact(slope: float, intercept: float, less: float, nan: bool, *, signed: bool) -> Scale:
    made = (format_number_as_ds(slope), format_number_as_ds(intercept))
    return Scale(*made, signed=signed, exact=not nan, has_nan=nan, _less=less, _by=1.0)


def _extent(slices: Iterable[Values]) -> tuple[float, float, bool, bool]:
    """The lowest and the highest number, whether all are whole, and whether some are none. Raises Refused."""
    low, high, whole, nan = np.inf, -np.inf, True, False
    for voxels in slices:
        finite = voxels
        if voxels.dtype.kind == "f":
            is_finite = np.isfinite(voxels)
            nan = nan or not is_finite.all()
            finite = voxels[is_finite]
            whole = whole and bool((finite == np.rint(finite)).all())
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        raise Refused("no voxel of it is a number")
    if high - low > 1e38:
        raise Refused("its numbers are further apart than 16 bits can say")
    return low, high, whole, nan
