"""A contact strip: frames of a multi-frame image beside each other, from the first to the last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Strip:
    """`for_processing` and `notes` are those of its frames (`streams.rendering.render.Shown`)."""

    picture: Picture.Image
    for_processing: bool
    notes: tuple[str, ...]


def strip_of(source: Source, frames: Sequence[int]) -> Strip:
    """One row with these frames (from 0) in their order, each at most TILE_PX a side. Raises NotRendered."""
    tiles: list[Picture.Image] = []
    notes: set[str] = set()
    for_processing = False
    for index in frames:
        frame = shown(source, Wanted(frame=index))
        tiles.append(picture_of(frame, TILE_PX, enlarge=True))
        notes.update(frame.notes)
        for_processing = for_processing or frame.for_processing
    return Strip(_beside(tiles), for_processing, tuple(sorted(notes)))


def _beside(tiles: Sequence[Picture.Image]) -> Picture.Image:
    width, height = max(tile.width for tile in tiles), max(tile.height for tile in tiles)
    mode = "L" if all(tile.mode == "L" for tile in tiles) else "RGB"
    strip = Picture.new(mode, (width * len(tiles), height))
    for position, tile in enumerate(tiles):
        strip.paste(tile.convert(mode), (position * width, 0))
    return strip


def numbered(frames: Sequence[int]) -> str:
    """Which frames a strip shows, counted from 1 as PS3.3 does."""
    return "Frames " + ", ".join(str(index + 1) for index in frames) + "."
