"""The shape of pixels, and of a picture whose pixels are square."""

from __future__ import annotations

from streams.rendering.scopes import Scopes
from streams.rendering.values import decimals

PIXEL_MEASURES = 0x00289110
PIXEL_SPACING, IMAGER_PIXEL_SPACING, PIXEL_ASPECT_RATIO = 0x00280030, 0x00181164, 0x00280034
_ASPECT_MAX = 8.0


def aspect_of(scopes: Scopes, frame: int) -> float:
    """Height of a pixel over its width: all three have the vertical value first (PS3.3 section 10.7.1.3)."""
    for scope in scopes.of(frame, PIXEL_MEASURES):
        for tag in (PIXEL_SPACING, IMAGER_PIXEL_SPACING, PIXEL_ASPECT_RATIO):
            values = decimals(scope, tag)
            if len(values) == 2 and min(values) > 0:
                return min(max(values[0] / values[1], 1 / _ASPECT_MAX), _ASPECT_MAX)
    return 1.0


def size_of(rows: int, columns: int, aspect: float, side_px: int | None, *, enlarge: bool = False) -> tuple[int, int]:
    """Columns and rows of a picture with square pixels, at most `side_px` on its longest side.

    Without `side_px` the shorter way of a pixel is stretched, so that none is lost.
    """
    height, width = float(rows) * max(aspect, 1.0), float(columns) * max(1 / aspect, 1.0)
    scale = 1.0 if side_px is None else side_px / max(rows * aspect, columns)
    if side_px is not None:
        height, width = rows * aspect, float(columns)
        if not enlarge:
            scale = min(scale, max(1.0, 1 / aspect))
    return max(1, round(width * scale)), max(1, round(height * scale))
