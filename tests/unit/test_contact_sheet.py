"""The contact sheet: where tiles go, and what the picture shows there."""

import io

import pytest
from PIL import Image

from radstream.contact_sheet import COLUMNS, GAP_PX, TILE_PX, contact_sheet, grid_of
from streams.rendering.strip import evenly

STEP = TILE_PX + GAP_PX


def picture(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("tiles", "columns", "rows"), [(0, 1, 1), (1, 1, 1), (COLUMNS, COLUMNS, 1), (COLUMNS + 1, COLUMNS, 2), (95, 10, 10)]
)
def test_the_grid_is_the_smallest_that_holds_all(tiles: int, columns: int, rows: int):
    grid = grid_of(tiles)
    assert (grid.columns, grid.rows) == (columns, rows)
    assert grid.size == (columns * STEP + GAP_PX, rows * STEP + GAP_PX)


def test_tiles_lie_inside_and_do_not_touch():
    grid = grid_of(23)
    corners = [grid.corner(index) for index in range(23)]
    width, height = grid.size
    assert len(set(corners)) == 23
    assert all(x + TILE_PX + GAP_PX <= width and y + TILE_PX + GAP_PX <= height for x, y in corners)
    assert corners[COLUMNS] == (GAP_PX, GAP_PX + STEP)


@pytest.mark.parametrize(
    ("count", "at_most", "chosen"),
    [(0, 5, []), (3, 5, [0, 1, 2]), (5, 5, [0, 1, 2, 3, 4]), (101, 5, [0, 25, 50, 75, 100]), (9, 1, [0])],
)
def test_a_long_series_is_sampled_evenly(count: int, at_most: int, chosen: list[int]):
    assert evenly(count, at_most) == chosen


def test_every_thumbnail_is_in_the_middle_of_its_tile():
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    made = contact_sheet([picture(300, 100, colour) for colour in colours])
    with Image.open(io.BytesIO(made)) as sheet:
        assert sheet.format == "PNG"
        assert sheet.size == grid_of(3).size
        for index, colour in enumerate(colours):
            left, top = grid_of(3).corner(index)
            assert sheet.getpixel((left + TILE_PX // 2, top + TILE_PX // 2)) == colour
            assert sheet.getpixel((left + TILE_PX // 2, top + 2)) not in colours


def test_no_thumbnails_make_an_empty_sheet():
    with Image.open(io.BytesIO(contact_sheet([]))) as sheet:
        assert sheet.size == grid_of(0).size
