"""A frame as a picture file, on request."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image as Picture

from streams.rendering.files import File, Format, encoded, picture_of, resized
from streams.rendering.notice import text_of, with_strip
from streams.rendering.render import Choice, Shown, Wanted, shown
from streams.rendering.source import Source, not_rendered

SIDE_PX_MAX = 16_383


@dataclass(frozen=True)
class Viewport:
    """A box of `width` by `height` pixels that the picture just fits into, and what of the image it shows.

    `left`, `top`, `columns` and `rows` are in pixels as stored; the last two are all that is left where they are None,
    and a negative one mirrors (PS3.18 section 8.3.5.1.3). Raises ValueError for what shows nothing.
    """

    width: int
    height: int
    left: int = 0
    top: int = 0
    columns: int | None = None
    rows: int | None = None

    def __post_init__(self) -> None:
        if not (1 <= self.width <= SIDE_PX_MAX and 1 <= self.height <= SIDE_PX_MAX):
            raise ValueError(f"a viewport has 1 to {SIDE_PX_MAX} pixels a side")
        if min(self.left, self.top) < 0 or 0 in (self.columns, self.rows):
            raise ValueError("a region begins within the image, and has pixels")


@dataclass(frozen=True)
class Asked:
    """At most `side_px` on the longest side; as many pixels as are stored where it is None. Raises ValueError.

    `quality` (1 to 100) is that of JPEG and WebP. `legend` is a line of text under the picture.
    """

    wanted: Wanted = field(default_factory=Wanted)
    format: Format = "png"
    side_px: int | None = None
    viewport: Viewport | None = None
    quality: int = 90
    legend: str = ""

    def __post_init__(self) -> None:
        if self.side_px is not None and not 1 <= self.side_px <= SIDE_PX_MAX:
            raise ValueError(f"a picture has 1 to {SIDE_PX_MAX} pixels a side")
        if not 1 <= self.quality <= 100:
            raise ValueError("quality is 1 to 100")
        if self.wanted.depth == 16 and self.format != "png":
            raise ValueError("only PNG has 16 bits a sample")


@dataclass(frozen=True)
class Rendered:
    """`voi`, `for_processing` and `notes` are those of `streams.rendering.render.Shown`."""

    file: File
    voi: Choice
    for_processing: bool
    notes: tuple[str, ...]


def rendered(source: Source, asked: Asked) -> Rendered:
    """Renders and encodes one frame. Raises NotRendered."""
    frame = shown(source, asked.wanted)
    viewport = asked.viewport
    picture = picture_of(frame, asked.side_px) if viewport is None else _fitted(frame, viewport)
    if asked.legend:
        picture = with_strip(picture, asked.legend)
    file = encoded(picture, asked.format, text_of(for_processing=frame.for_processing), quality=asked.quality)
    return Rendered(file, frame.voi, frame.for_processing, frame.notes)


def _fitted(frame: Shown, viewport: Viewport) -> Picture.Image:
    """The region, with square pixels, as large as the box lets it be. Raises NotRendered."""
    rows, columns = frame.pixels.shape[:2]
    wide, high = viewport.columns or columns - viewport.left, viewport.rows or rows - viewport.top
    right, bottom = viewport.left + abs(wide), viewport.top + abs(high)
    if min(wide, high) == 0 or right > columns or bottom > rows or min(right, bottom) <= 0:
        raise not_rendered("no_such_region")
    region = frame.pixels[viewport.top : bottom, viewport.left : right]
    region = region[:: -1 if high < 0 else 1, :: -1 if wide < 0 else 1]
    width, height = abs(wide), abs(high) * frame.aspect
    scale = min(viewport.width / width, viewport.height / height)
    size = min(viewport.width, max(1, round(width * scale))), min(viewport.height, max(1, round(height * scale)))
    return resized(Picture.fromarray(np.ascontiguousarray(region)), size)
