"""TIFF pictures, of one page or of many: pages that are alike become the frames of one object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom.dataset import Dataset

from radstream.importing.libraries import library
from radstream.importing.made import How, Made, Native, Refused, Source
from radstream.importing.objects import (
    CAPTURE_COLOUR,
    CAPTURE_GREY_BYTE,
    CAPTURE_GREY_WORD,
    EXPLICIT_LITTLE,
    OBJECT_BYTES_MAX,
    SIDE_MAX,
    capture,
    described,
    lossy,
    modality_of,
    paged,
    still,
)
from radstream.importing.picture_notes import HELD_TURNED, NOT_SQUARE, moment
from radstream.importing.pixels import TRANSPOSED, Pixels, aspect_of, flattened, raw, upright

PAGES_MAX: Final = 4096
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YBR = 0, 1, 2, 3, 6
_LOSSY: Final = frozenset({6, 7})
_ORIENTATION, _DATE_TIME = 274, 306


def source(path: Path, digest: str, how: How) -> Source:
    """Raises Refused."""
    as_ = how.as_
    with _opened(path) as pages:
        for page in pages:
            _check(page, as_)
        date = pages[0].tags.get(_DATE_TIME)
        return Source(
            path=path,
            format="TIFF",
            digest=digest,
            modality=modality_of(as_, how.modality),
            captured=moment(date.value) if date else None,
            made=lambda: _made(path, as_),
            notes=_notes(pages),
            code_version=_code_version(pages),
        )


@contextmanager
def _opened(path: Path) -> Iterator[list[Any]]:
    """Its full pages, without the smaller copies that some programs add. Raises Refused."""
    tifffile = library("tifffile", "a TIFF picture")
    try:
        with tifffile.TiffFile(path) as opened:
            if len(opened.pages) > PAGES_MAX:
                raise Refused(f"it has more than {PAGES_MAX} pages; divide it")
            pages = [page for page in (opened.pages[nth] for nth in range(len(opened.pages))) if not page.is_reduced]
            if not pages:
                raise Refused("it has no page")
            yield pages
    except (Refused, GeneratorExit):
        raise
    except OSError:
        raise
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        raise Refused("it cannot be read as TIFF; it is damaged, or coded as no library at hand reads") from None


def _check(page: Any, as_: str) -> None:
    """Raises Refused for what no object has room for."""
    if page.dtype is None or page.dtype.kind not in "ub" or page.dtype.itemsize > 2:
        raise Refused("its pixels are signed, floating point, or of more than 16 bits; save it with 8 or 16 bits")
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YBR):
        raise Refused("its colours are for print (CMYK) or otherwise not RGB; save it as RGB first")
    if page.photometric == _YBR and page.compression not in _LOSSY:
        raise Refused("its colours are YCbCr without JPEG; save it as RGB first")
    if page.imagedepth != 1 or not (0 < page.imagelength <= SIDE_MAX and 0 < page.imagewidth <= SIDE_MAX):
        raise Refused("it has more than 65,535 rows or columns, or none; whole-slide images need a pyramid of tiles")
    if page.imagelength * page.imagewidth * page.samplesperpixel * page.dtype.itemsize > OBJECT_BYTES_MAX:
        raise Refused("a page of it is larger than the 1 GB that one object has room for")
    if 1 < page.bitspersample < 8:
        raise Refused("it has 2 to 7 bits a sample; save it with 8")
    if as_ != "capture" and page.bitspersample > 8:
        raise Refused("it has 16 bits a sample, and visible light has 8: import it with --as capture")


def _notes(pages: list[Any]) -> tuple[str, ...]:
    said = []
    if any(page.photometric == _WHITE_IS_ZERO for page in pages):
        said.append("white is 0 in it; its values are turned round, so that black is")
    if any(page.extrasamples for page in pages):
        said.append("what is transparent in it is laid over white")
    if any(_orientation(page) != 1 for page in pages):
        said.append(HELD_TURNED)
    if any(_aspect(page) is not None for page in pages):
        said.append(NOT_SQUARE)
    return tuple(said)


def _code_version(pages: list[Any]) -> str:
    """Version 1 asked neither how a page was held nor for its resolution. One such page is enough for all: pages are
    alike otherwise, and the objects after it have other numbers."""
    return "1" if all(_orientation(page) == 1 and _aspect(page) is None for page in pages) else "2"


def _orientation(page: Any) -> int:
    tag = page.tags.get(_ORIENTATION)
    return int(tag.value) if tag and tag.value in range(1, 9) else 1


def _aspect(page: Any) -> tuple[int, int] | None:
    across, down = page.get_resolution()
    return aspect_of(across, down, _orientation(page))


def _alike(page: Any) -> tuple[Any, ...]:
    samples = 3 if page.photometric in (_RGB, _PALETTE, _YBR) else 1
    rows, columns = page.imagelength, page.imagewidth
    if _orientation(page) in TRANSPOSED:
        rows, columns = columns, rows
    return (rows, columns, samples, page.bitspersample, page.compression in _LOSSY, _aspect(page))


def _made(path: Path, as_: str) -> Iterator[Made]:
    with _opened(path) as pages:
        alone = as_ != "capture"
        groups = [[page] for page in pages] if alone else [list(found) for _, found in groupby(pages, _alike)]
        for nth, group in enumerate(groups, start=1):
            yield _object(str(nth), group, as_)


def _object(part: str, pages: list[Any], as_: str) -> Made:
    rows, columns, samples, bits, was_lossy, aspect = _alike(pages[0])
    bits = 16 if bits > 8 and samples == 3 else max(bits, 8)
    made = _kind(len(pages), samples, bits, as_)
    described(
        made,
        rows=rows,
        columns=columns,
        samples=samples,
        bits=16 if bits > 8 else 8,
        photometric="MONOCHROME2" if samples == 1 else "RGB",
        aspect=aspect,
    )
    made.BitsStored, made.HighBit = bits, bits - 1
    size = rows * columns * samples * (2 if bits > 8 else 1) * len(pages)
    if was_lossy:
        lossy(made, "ISO_10918_1", sum(sum(page.databytecounts) for page in pages), size)
    return Made(part, made, EXPLICIT_LITTLE, Native(size, lambda: (_frame(page) for page in pages)))


def _kind(frames: int, samples: int, bits: int, as_: str) -> Dataset:
    if as_ != "capture" or frames == 1:
        return still(as_)
    if samples == 3 and bits > 8:
        raise Refused("it has several pages in colour of 16 bits, for which DICOM has no object; save it with 8 bits")
    made = capture(CAPTURE_COLOUR if samples == 3 else CAPTURE_GREY_WORD if bits > 8 else CAPTURE_GREY_BYTE)
    paged(made, frames, grey=samples == 1)
    return made


def _frame(page: Any) -> bytes:
    return raw(upright(_pixels(page), _orientation(page)))


def _pixels(page: Any) -> Pixels:
    """(rows, columns) or (rows, columns, 3), unsigned."""
    try:
        pixels: Pixels = page.asarray()
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        raise Refused("a page of it cannot be decoded; it is damaged") from None
    if page.axes.startswith("S"):
        pixels = np.moveaxis(pixels, 0, -1)
    if page.dtype.kind == "b" or page.bitspersample == 1:
        pixels = pixels.astype(np.uint8) * 255
    if page.photometric == _PALETTE:
        return np.asarray((page.colormap >> 8).astype(np.uint8)[:, pixels].transpose(1, 2, 0))
    pixels = flattened(pixels, premultiplied=1 in page.extrasamples)
    if page.photometric == _WHITE_IS_ZERO:
        pixels = np.asarray((1 << max(page.bitspersample, 8)) - 1 - pixels, dtype=pixels.dtype)
    return pixels
