"""Thumbnails side by side in one picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

COLUMNS = 10
TILE_PX = 128
GAP_PX = 4
_BACKGROUND = (24, 24, 24)


@dataclass(frozen=True)
class Grid:
    """`columns` x `rows` tiles, a gap around each."""

    columns: int
    rows: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        step = TILE_PX + GAP_PX
        return self.columns * step + GAP_PX, self.rows * step + GAP_PX

    def corner(self, index: int) -> tuple[int, int]:
        """Upper left pixel of a tile, counted line by line."""
        step = TILE_PX + GAP_PX
        return index % self.columns * step + GAP_PX, index // self.columns * step + GAP_PX


def grid_of(tiles: int) -> Grid:
    """The smallest grid of at most COLUMNS columns that holds so many tiles; never empty."""
    columns = max(1, min(COLUMNS, tiles))
    return Grid(columns, max(1, -(-tiles // columns)))


def contact_sheet(thumbnails: Sequence[bytes]) -> bytes:
    """A PNG of all thumbnails (JPEG or PNG files), in their order, each shrunk into its tile.

    Raises PIL.UnidentifiedImageError for bytes that are no picture.
    """
    grid = grid_of(len(thumbnails))
    sheet = Image.new("RGB", grid.size, _BACKGROUND)
    for index, thumbnail in enumerate(thumbnails):
        with Image.open(io.BytesIO(thumbnail)) as picture:
            tile = picture.convert("RGB")
        tile.thumbnail((TILE_PX, TILE_PX))
        left, top = grid.corner(index)
        sheet.paste(tile, (left + (TILE_PX - tile.width) // 2, top + (TILE_PX - tile.height) // 2))
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()
