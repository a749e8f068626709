"""Display shutters (PS3.3 sections C.7.6.11 and C.7.6.16.2.16): what lies outside all of their shapes is hidden."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw

from streams.part10 import Part10
from streams.rendering.scopes import Scopes
from streams.rendering.values import decimals, words

FRAME_SHUTTER, SHAPE, PRESENTATION_VALUE = 0x00189472, 0x00181600, 0x00181622
LEFT, RIGHT, UPPER, LOWER = 0x00181602, 0x00181604, 0x00181606, 0x00181608
CENTER, RADIUS, VERTICES = 0x00181610, 0x00181612, 0x00181620

Mask = NDArray[np.bool_]


def of_frame(scopes: Scopes, frame: int) -> Part10 | None:
    """What has the shutter of a frame: its functional group, the shared one, or the data set."""
    return next((scope for scope in scopes.of(frame, FRAME_SHUTTER) if scope.text(SHAPE)), None)


def hidden(file: Part10, rows: int, columns: int, aspect: float) -> Mask | None:
    """True where a frame is hidden, shaped (rows, columns); None where no shape can be used. `aspect` is a pixel's."""
    shapes = (file.text(SHAPE) or "").upper().split("\\")
    seen: Mask | None = None
    for name, shape in (("RECTANGULAR", _rectangle), ("CIRCULAR", _circle), ("POLYGONAL", _polygon)):
        inside = shape(file, rows, columns, aspect) if name in shapes else None
        if inside is not None:
            seen = inside if seen is None else seen & inside
    # A shutter that hides all is a mistake: a person must see that there is an image.
    return ~seen if seen is not None and seen.any() else None


def presentation_value(file: Part10) -> float:
    """The grey of what is hidden, 0 (black, the usual) to 1."""
    value = words(file, PRESENTATION_VALUE, signed=False)
    return value[0] / 0xFFFF if value else 0.0


def _rectangle(file: Part10, rows: int, columns: int, _: float) -> Mask | None:
    edges = [decimals(file, tag) for tag in (LEFT, RIGHT, UPPER, LOWER)]
    if not all(edges):
        return None
    left, right, upper, lower = (edge[0] for edge in edges)
    # Rows and columns are counted from 1; the edges are the last that are seen.
    row, column = np.arange(1, rows + 1)[:, None], np.arange(1, columns + 1)[None, :]
    return (column >= left) & (column <= right) & (row >= upper) & (row <= lower)


def _circle(file: Part10, rows: int, columns: int, aspect: float) -> Mask | None:
    center, radius = decimals(file, CENTER), decimals(file, RADIUS)
    if len(center) != 2 or not radius or radius[0] <= 0:
        return None
    # The radius is in pixels along a row: others are as much shorter as pixels are higher.
    down = (np.arange(1, rows + 1) - center[0])[:, None] * aspect
    across = (np.arange(1, columns + 1) - center[1])[None, :]
    # Compared row by column, so that no real number is kept for each pixel.
    return across * across <= radius[0] * radius[0] - down * down


def _polygon(file: Part10, rows: int, columns: int, _: float) -> Mask | None:
    values = decimals(file, VERTICES)
    if len(values) < 6 or len(values) % 2:
        return None
    points = [(column - 1, row - 1) for row, column in zip(values[::2], values[1::2], strict=True)]
    if any(abs(one) > 1e6 for point in points for one in point):
        return None
    canvas = Picture.new("L", (columns, rows), 0)
    ImageDraw.Draw(canvas).polygon(points, fill=255)
    return np.asarray(canvas) > 0
