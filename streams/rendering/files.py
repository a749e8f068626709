"""Picture files: PNG, WebP and JPEG, each of which says inside what it is not for."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image as Picture
from PIL import PngImagePlugin

from streams.rendering.geometry import size_of
from streams.rendering.render import Shown
from streams.rendering.source import not_rendered

Format = Literal["png", "webp", "jpeg"]
MEDIA_TYPES: dict[Format, str] = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}
# What WebP and JPEG can hold (libwebp's and JFIF's own limits); PNG could more.
SIDE_PX_MAX: dict[Format, int] = {"png": 65_535, "webp": 16_383, "jpeg": 65_500}
# Square pixels may be eight times as many as those that are stored.
_PIXELS_MAX = 1 << 28
_IMAGE_DESCRIPTION = 0x010E
# libwebp's quickest method: a third of the time of its default, and pictures half as large again.
_WEBP_METHOD = 0
# Deflate's level 3 takes half of the time of 6, for 5% more bytes.
_PNG_LEVEL = 3


@dataclass(frozen=True)
class File:
    """`rows` and `columns` are the picture's."""

    data: bytes
    media_type: str
    rows: int
    columns: int


def picture_of(shown: Shown, side_px: int | None = None, *, enlarge: bool = False) -> Picture.Image:
    """The frame with square pixels, at most `side_px` on its longest side. Raises NotRendered where it is too large."""
    rows, columns = shown.pixels.shape[:2]
    size = size_of(rows, columns, shown.aspect, side_px, enlarge=enlarge)
    if size[0] * size[1] > _PIXELS_MAX:
        raise not_rendered("too_large")
    return resized(Picture.fromarray(np.ascontiguousarray(shown.pixels)), size)


def resized(picture: Picture.Image, size: tuple[int, int]) -> Picture.Image:
    """Each pixel the mean of those it stands for."""
    if picture.size == size:
        return picture
    # A gap of 1 halves by whole steps first, which is most of the way and much the quickest.
    gap = None if picture.mode == "I;16" else 1.0
    return picture.resize(size, Picture.Resampling.BOX, reducing_gap=gap)


def encoded(picture: Picture.Image, kind: Format, notice: str, *, quality: int = 90) -> File:
    """A file of the picture, `notice` in its metadata. Raises NotRendered where the format cannot hold its size."""
    if max(picture.size) > SIDE_PX_MAX[kind]:
        raise not_rendered("too_large")
    out = io.BytesIO()
    if kind == "png":
        info = PngImagePlugin.PngInfo()
        info.add_text("Comment", notice)
        picture.save(out, "PNG", pnginfo=info, compress_level=_PNG_LEVEL)
    elif kind == "webp":
        picture.save(out, "WEBP", method=_WEBP_METHOD, quality=quality, exif=_exif(notice))
    else:
        picture.save(out, "JPEG", quality=quality, comment=notice.encode("ascii"))
    return File(out.getvalue(), MEDIA_TYPES[kind], picture.height, picture.width)


@lru_cache(maxsize=8)
def _exif(notice: str) -> bytes:
    exif = Picture.Exif()
    exif[_IMAGE_DESCRIPTION] = notice
    return exif.tobytes()
