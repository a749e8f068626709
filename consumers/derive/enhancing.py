"""Pixels made easier to see: local contrast (CLAHE) or less noise (median). Never for primary reading.

OpenCV's methods: integers in, integers out, the same on every run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Method = Literal["clahe", "median"]
Stored = NDArray[np.int32]

_LEVELS = 1 << 16
# A tile of fewer pixels a side has no histogram to speak of.
_TILE_PX_MIN = 8


@dataclass(frozen=True)
class Enhancing:
    """`clip_limit`: how much more often than the mean a grey may count in its tile, of `tiles` by `tiles` of them.

    `median_px` is the side of the square whose middle value each pixel becomes: 3 or 5.
    """

    method: Method = "clahe"
    clip_limit: float = 2.0
    tiles: int = 8
    median_px: int = 3

    @property
    def sentence(self) -> str:
        """For Derivation Description; ASCII."""
        if self.method == "median":
            return f"Median of {self.median_px} by {self.median_px} pixels. Enhanced, not for primary reading."
        return (
            f"Contrast limited adaptive histogram equalization, {self.tiles} by {self.tiles} tiles, clip limit "
            f"{self.clip_limit:g}. Values are not in the unit of the source. Enhanced, not for primary reading."
        )


def enhanced(frame: Stored, padding: NDArray[np.bool_], span: tuple[int, int], how: Enhancing) -> Stored:
    """A frame of stored values (rows, columns), its values between those of `span`; what is padding stays as it is.

    `span` are the lowest and highest values that are no padding, of all frames.
    """
    low, high = span
    if high <= low:
        return frame
    inside = np.clip(frame, low, high) - low
    made = _equalised(inside, high - low, how) if how.method == "clahe" else _median(inside, how.median_px)
    return np.where(padding, frame, made.astype(np.int32) + low).astype(np.int32)


def _equalised(inside: Stored, highest: int, how: Enhancing) -> NDArray[np.int64]:
    """OpenCV's histogram of 16 bits has 65,536 bins, whatever is in it: the values are spread over them, and the limit
    counts as if only those had bins that can occur."""
    import cv2

    spread = (inside.astype(np.int64) * (_LEVELS - 1) // highest).astype(np.uint16)
    tiles = max(1, min(how.tiles, min(inside.shape) // _TILE_PX_MIN))
    made = cv2.createCLAHE(how.clip_limit * _LEVELS / (highest + 1), (tiles, tiles)).apply(spread)
    back: NDArray[np.int64] = (made.astype(np.int64) * highest + _LEVELS // 2) // (_LEVELS - 1)
    return back


def _median(inside: Stored, side_px: int) -> NDArray[np.integer]:
    import cv2

    return np.asarray(cv2.medianBlur(inside.astype(np.uint16), side_px), np.uint16)
