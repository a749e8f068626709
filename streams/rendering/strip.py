"""A contact strip: frames of a multi-frame image beside each other, from the first to the last."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image as Picture

from streams.rendering.files import picture_of
from streams.rendering.render import Wanted, shown
from streams.rendering.source import Source

TILE_PX = 128


def evenly(count: int, at_most: int) -> list[int]:
    """Indices of at most `at_most` of `count` things, the first and the last among them."""
    if count <= at_most:
        return list(range(count))
    if at_most == 1:
        return [0]
    return [round(index * (count - 1) / (at_most - 1)) for index in range(at_most)]


def strip_of(source: Source, frames: Sequence[int]) -> Picture.Image:
    """One row with these frames (from 0) in their order, each at most TILE_PX a side. Raises NotRendered."""
    tiles = [picture_of(shown(source, Wanted(frame=index)), TILE_PX, enlarge=True) for index in frames]
    width, height = max(tile.width for tile in tiles), max(tile.height for tile in tiles)
    mode = "L" if all(tile.mode == "L" for tile in tiles) else "RGB"
    strip = Picture.new(mode, (width * len(tiles), height))
    for position, tile in enumerate(tiles):
        strip.paste(tile.convert(mode), (position * width, 0))
    return strip


def numbered(frames: Sequence[int]) -> str:
    """Which frames a strip shows, counted from 1 as PS3.3 does."""
    return "Frames " + ", ".join(str(index + 1) for index in frames) + "."
