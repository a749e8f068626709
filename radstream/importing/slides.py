"""Whole-slide images as VL Whole Slide Microscopy (PS3.3 section A.32.8): an object for each level of the pyramid."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from radstream.importing.libraries import library
from radstream.importing.made import Encapsulated, How, Made, Refused, Source
from radstream.importing.objects import JPEG_BASELINE, described, lossy
from radstream.importing.pixels import flattened
from radstream.importing.slide_attributes import Matrix, microscopy, scanned_at
from radstream.importing.slide_tiles import YBR, Level, codestreams, encoded, levels, tiff_of

_METHOD: Final = "ISO_10918_1"
# What OpenSlide calls them, and what DICOM does. A label names the patient, and overviews show the label.
_PICTURES: Final = {"label": "LABEL", "macro": "OVERVIEW"}
_WHOLE: Final = ("ORIGINAL", "PRIMARY", "VOLUME", "NONE")
_SMALLER: Final = ("DERIVED", "PRIMARY", "VOLUME", "RESAMPLED")
_SIDE_MAX: Final = 8192
# A blank tile as JPEG has some hundred pixels a byte, and scanners leave out most of what is blank.
_PIXELS_OF_A_BYTE: Final = 10_000


@dataclass(frozen=True)
class _Opened:
    slide: Any
    tiff: Any | None

    @property
    def spacing_mm(self) -> tuple[float, float]:
        """(between rows, between columns) of the largest level. Raises Refused."""
        try:
            x, y = (float(self.slide.properties[f"openslide.mpp-{axis}"]) / 1000 for axis in "xy")
        except (KeyError, ValueError):
            x = y = 0.0
        if not 1e-6 < min(x, y) <= max(x, y) < 1:
            raise Refused(
                "it does not say how large its pixels are; write its resolution into it (tiffset -s 282, 283)"
            )
        return y, x


def source(path: Path, digest: str, how: How) -> Source:
    """Raises Refused."""
    with _opened(path) as opened:
        width, height = opened.slide.dimensions
        if opened.tiff is not None and width * height > _PIXELS_OF_A_BYTE * path.stat().st_size:
            raise Refused("it claims more pixels than it can hold; it is damaged")
        found = levels(opened.slide, opened.tiff)
        _ = opened.spacing_mm
        made_anew = sum(level.page is None for level in found)
        notes = [] if how.label else ["label and overview are left out, as labels name patients (--with-label)"]
        if made_anew:
            notes.append(f"tiles of {made_anew} of its {len(found)} levels are coded anew as JPEG, which is lossy")
        captured = scanned_at(opened.slide.properties)
    return Source(
        path=path,
        format="whole-slide image",
        digest=digest,
        modality="SM",
        captured=captured,
        made=lambda: _made(path, label=how.label),
        notes=tuple(notes),
        wanted=("ContainerIdentifier",),
        own_series=True,
        needs_time=True,
    )


@contextmanager
def _opened(path: Path) -> Iterator[_Opened]:
    openslide = library("openslide", "a whole-slide image")
    try:
        slide = openslide.OpenSlide(str(path))
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        raise Refused("OpenSlide does not read it; it is damaged, or of a scanner that it does not know") from None
    tiff = tiff_of(path)
    try:
        yield _Opened(slide, tiff)
    finally:
        slide.close()
        if tiff is not None:
            tiff.close()


def _made(path: Path, *, label: bool) -> Iterator[Made]:
    with _opened(path) as opened:
        found = levels(opened.slide, opened.tiff)
        for level in found:
            with _tiles(opened, level) as tiles:
                yield _level(opened, level, tiles)
        pictures = opened.slide.associated_images if label else {}
        names = set(pictures)  # asking whether one is there would decode it
        for nth, (name, kind) in enumerate(_PICTURES.items(), start=len(found)):
            if name in names:
                yield _picture(opened, _decoded(pictures, name), kind, nth)


def _decoded(pictures: Any, name: str) -> Any:
    """Raises Refused."""
    try:
        return pictures[name].convert("RGBA")
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        raise Refused("its label or overview cannot be read: leave --with-label out") from None


@dataclass(frozen=True)
class _Tiles:
    size: int
    each: Callable[[], Iterator[bytes]]


@contextmanager
def _tiles(opened: _Opened, level: Level) -> Iterator[_Tiles]:
    """A level's tiles, and how long they are in all; those coded anew are coded once, on disk, to know that."""
    streams = partial(codestreams, opened.slide, opened.tiff, level)
    if level.page is not None:
        yield _Tiles(sum(level.page.databytecounts), streams)
        return
    with tempfile.TemporaryFile(prefix="radstream-import-") as file:
        sizes = [file.write(tile) for tile in streams()]

        def read() -> Iterator[bytes]:
            file.seek(0)
            return (file.read(size) for size in sizes)

        yield _Tiles(sum(sizes), read)


def _level(opened: _Opened, level: Level, tiles: _Tiles) -> Made:
    size = opened.slide.level_dimensions[0]
    spacing = opened.spacing_mm
    extent = (size[1] * spacing[0], size[0] * spacing[1])
    matrix = Matrix(
        kind=_WHOLE if level.nth == 0 else _SMALLER,
        rows=level.height,
        columns=level.width,
        extent_mm=extent,
        spacing_mm=(extent[0] / level.height, extent[1] / level.width),
    )
    made = microscopy(matrix, opened.slide.properties.get("openslide.vendor"), _profile(opened.slide))
    made.InstanceNumber = level.nth + 1
    count = level.across * level.down
    made.NumberOfFrames = count
    described(made, rows=level.side[0], columns=level.side[1], samples=3, bits=8, photometric=level.photometric)
    native = level.side[0] * level.side[1] * 3 * count
    lossy(made, _METHOD, tiles.size, native)
    return Made(str(level.nth), made, JPEG_BASELINE, Encapsulated(count, tiles.each))


def _picture(opened: _Opened, picture: Any, kind: str, nth: int) -> Made:
    """A label or an overview. Its place on the slide is not known: it is shown in the scale of a slide, 26 mm high."""
    if max(picture.size) > _SIDE_MAX:
        picture.thumbnail((_SIDE_MAX, _SIDE_MAX))
    pixels = flattened(np.asarray(picture))
    rows, columns = pixels.shape[:2]
    spacing = 26.0 / min(rows, columns)
    matrix = Matrix(
        kind=("ORIGINAL", "PRIMARY", kind, "NONE"),
        rows=rows,
        columns=columns,
        extent_mm=(rows * spacing, columns * spacing),
        spacing_mm=(spacing, spacing),
    )
    made = microscopy(matrix, opened.slide.properties.get("openslide.vendor"), _profile(opened.slide))
    made.InstanceNumber = nth + 1
    made.NumberOfFrames = 1
    described(made, rows=rows, columns=columns, samples=3, bits=8, photometric=YBR)
    stream = encoded(pixels)
    lossy(made, _METHOD, len(stream), pixels.size)
    return Made(kind, made, JPEG_BASELINE, Encapsulated(1, lambda: iter([stream])))


def _profile(slide: Any) -> bytes:
    """What its colours mean; sRGB where the scanner says nothing, as readers take it."""
    cms = library("PIL.ImageCms", "colour profiles")
    try:
        said = slide.color_profile
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        raise Refused("its colour profile cannot be read; it is damaged") from None
    made: bytes = (said or cms.ImageCmsProfile(cms.createProfile("sRGB"))).tobytes()
    return made
