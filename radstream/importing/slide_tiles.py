"""Tiles of a whole-slide image as JPEG codestreams: the file's where they can be kept, else made of its pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from radstream.importing import jpeg_segments
from radstream.importing.jpeg_segments import BASELINE
from radstream.importing.libraries import library
from radstream.importing.made import Refused
from radstream.importing.pixels import Pixels, flattened

SIDE: Final = 512
QUALITY: Final = 90
TILES_MAX: Final = 4_000_000
_JPEG, _RGB, _YBR = 7, 2, 6
# The one term for this colour that slides may have (PS3.3 section C.8.12.4), however a tile is sampled.
YBR: Final = "YBR_FULL_422"
# Adobe's segment, with transform 0: the components are red, green and blue.
_IS_RGB: Final = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


@dataclass(frozen=True)
class Level:
    """A level of the pyramid, `width` by `height` pixels, in tiles of `side` rows and columns, row by row.

    `page` is where the file holds its tiles as JPEG, None where they have to be made.
    """

    nth: int
    width: int
    height: int
    side: tuple[int, int]
    page: Any | None
    photometric: str

    @property
    def across(self) -> int:
        return -(-self.width // self.side[1])

    @property
    def down(self) -> int:
        return -(-self.height // self.side[0])


def levels(slide: Any, tiff: Any | None) -> list[Level]:
    """`slide` is OpenSlide's, `tiff` tifffile's view of the same file. Raises Refused."""
    found = []
    for nth, (width, height) in enumerate(slide.level_dimensions):
        page = _page(tiff, width, height)
        side = (int(page.tilelength), int(page.tilewidth)) if page is not None else (SIDE, SIDE)
        level = Level(nth, width, height, side, page, YBR)
        if level.across * level.down > TILES_MAX:
            raise Refused("it has more than 4 million tiles")
        found.append(level if page is None else _as_kept(level, tiff, page))
    return found


def _as_kept(level: Level, tiff: Any, page: Any) -> Level:
    """With the colours of its first tile, or to be made anew where that is of another kind than DICOM keeps."""
    first = next((nth for nth, size in enumerate(page.databytecounts) if size), None)
    if first is not None and len(page.databytecounts) == level.across * level.down:
        head = jpeg_segments.read(_whole(tiff, page, first))
        if head.process == BASELINE and (head.rows, head.columns) == level.side and len(head.sampling) == 3:
            return Level(level.nth, level.width, level.height, level.side, page, head.photometric)
    return Level(level.nth, level.width, level.height, (SIDE, SIDE), None, YBR)


def _page(tiff: Any | None, width: int, height: int) -> Any | None:
    """The page with the tiles of a level, if they are JPEG in colour of 8 bits."""
    for page in tiff.pages if tiff is not None else ():
        if (page.imagewidth, page.imagelength) == (width, height) and page.is_tiled:
            fits = page.compression == _JPEG and page.photometric in (_RGB, _YBR) and page.samplesperpixel == 3
            return page if fits and page.planarconfig == 1 and page.bitspersample == 8 else None
    return None


def _whole(tiff: Any, page: Any, nth: int) -> bytes:
    """A tile with the tables that TIFF keeps apart (TIFF technical note 2). Raises Refused."""
    tiff.filehandle.seek(page.dataoffsets[nth])
    tile = tiff.filehandle.read(page.databytecounts[nth])
    if tile[:2] != b"\xff\xd8":
        raise Refused("a tile of it is no JPEG picture; it is damaged")
    tables = page.jpegtables[2:-2] if page.jpegtables else b""
    rgb = _IS_RGB if page.photometric == _RGB and b"Adobe" not in tile[:64] else b""
    return bytes(tile[:2] + rgb + tables + tile[2:])


def codestreams(slide: Any, tiff: Any | None, level: Level) -> Iterator[bytes]:
    """Each tile of a level, row by row; one is in memory at a time. Raises Refused."""
    blank = b""
    for nth in range(level.across * level.down):
        if level.page is None:
            yield _made(slide, level, nth)
        elif level.page.databytecounts[nth]:
            yield _kept(tiff, level, nth)
        else:
            # Scanners leave out tiles with nothing on them.
            blank = blank or encoded(np.full((*level.side, 3), 255, np.uint8), rgb=level.photometric == "RGB")
            yield blank


def _kept(tiff: Any, level: Level, nth: int) -> bytes:
    head = jpeg_segments.read(_whole(tiff, level.page, nth))
    if head.process != BASELINE or (head.rows, head.columns) != level.side or head.photometric != level.photometric:
        raise Refused("its tiles are not all coded alike; it is damaged")
    return head.stream


def _made(slide: Any, level: Level, nth: int) -> bytes:
    scale = slide.level_downsamples[level.nth]
    row, column = divmod(nth, level.across)
    at = (round(column * level.side[1] * scale), round(row * level.side[0] * scale))
    try:
        region = slide.read_region(at, level.nth, (level.side[1], level.side[0]))
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        raise Refused("a tile of it cannot be read; it is damaged") from None
    return encoded(flattened(np.asarray(region)))


def encoded(pixels: Pixels, *, rgb: bool = False) -> bytes:
    """Baseline JPEG."""
    codec = library("imagecodecs", "tiles")
    made: bytes = codec.jpeg8_encode(
        pixels,
        level=QUALITY,
        colorspace="RGB",
        outcolorspace="RGB" if rgb else "YCBCR",
        subsampling="444" if rgb else "422",
    )
    return made


def tiff_of(path: Path) -> Any | None:
    """The file as TIFF, None where it is none. To be closed by whoever asked."""
    tifffile = library("tifffile", "a whole-slide image")
    try:
        return tifffile.TiffFile(path)
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        return None
