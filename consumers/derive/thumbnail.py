"""A small picture of one frame for lists and contact sheets. It is for finding, never for reading.

Modality and VOI LUT in their linear form (PS3.3 sections C.11.1 and C.11.2), MONOCHROME1, palettes, YBR_FULL, and the
shape of pixels that are not square.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from consumers.derive.pack import Part
from consumers.derive.palette import coloured
from streams.part10 import Part10
from streams.pixels.codecs import JPEG, Pixels, Undecodable
from streams.pixels.frames import Frames
from streams.pixels.image import Image

WINDOW_CENTER, WINDOW_WIDTH, INTERCEPT, SLOPE = 0x00281050, 0x00281051, 0x00281052, 0x00281053
PIXEL_SPACING, PIXEL_ASPECT_RATIO = 0x00280030, 0x00280034
_ASPECT_MAX = 8.0
# Of a picture without a window: what lies between these percentiles is shown.
_DARK, _BRIGHT = 1.0, 99.0
_SAMPLED_PX = 128
# libwebp's quickest method: a third of the time of its default, and thumbnails half as large again.
_WEBP_METHOD, _WEBP_QUALITY = 0, 75

Grey = NDArray[np.uint8]


def thumbnail(file: Part10, image: Image, frames: Frames, side_px: int) -> Part | str:
    """The middle frame as WebP, `side_px` on its longest side, or the note that says why there is none."""
    try:
        frame = frames.frame(image.frames // 2)
    except Undecodable as error:
        return error.code
    # Rough first: no more pixels are looked at than twice the picture's side.
    step = max(1, max(image.rows, image.columns) // (2 * side_px))
    shown = _shown(file, image, frame[::step, ::step])
    columns, rows = _size(file, image, side_px)
    out = io.BytesIO()
    # A gap of 1 halves by whole steps first, which is most of the way and much the quickest.
    small = shown.resize((columns, rows), Picture.Resampling.BOX, reducing_gap=1.0)
    small.save(out, "WEBP", method=_WEBP_METHOD, quality=_WEBP_QUALITY)
    return Part(kind="thumbnail", media_type="image/webp", rows=rows, columns=columns, data=out.getvalue())


def _shown(file: Part10, image: Image, frame: Pixels) -> Picture.Image:
    if image.samples == 3:
        colours = frame >> max(0, image.bits_stored - 8)
        as_ybr = image.photometric.startswith("YBR_FULL") and image.transfer_syntax_uid not in JPEG
        picture = Picture.fromarray(np.ascontiguousarray(colours, np.uint8), "YCbCr" if as_ybr else "RGB")
        return picture.convert("RGB")
    if image.photometric == "PALETTE COLOR" and (mapped := coloured(file, frame)) is not None:
        return Picture.fromarray(mapped)
    low, high = _window(file, image, frame)
    grey = _between(frame, low, high)
    return Picture.fromarray(255 - grey if image.photometric == "MONOCHROME1" else grey)


def _between(frame: Pixels, low: float, high: float) -> Grey:
    """0 at `low`, 255 at `high`, which may be below it."""
    scaled = frame.astype(np.float32)
    scaled -= low
    scaled *= 255.0 / (high - low)
    np.clip(scaled, 0, 255, out=scaled)
    return scaled.astype(np.uint8)


def _window(file: Part10, image: Image, frame: Pixels) -> tuple[float, float]:
    """The stored values that are shown as black and as white."""
    slope = _number(file, SLOPE) or 1.0
    center, width = _number(file, WINDOW_CENTER), _number(file, WINDOW_WIDTH)
    if center is not None and width is not None and width >= 1:
        # PS3.3 section C.11.2.1.2.1: a window of width 1 is a threshold.
        low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + max(width - 1, 1) / 2
        intercept = _number(file, INTERCEPT) or 0.0
        return (low - intercept) / slope, (high - intercept) / slope
    if image.bits_stored <= 8 and not image.signed:
        low, high = 0.0, float((1 << image.bits_stored) - 1)
    else:
        step = max(1, max(frame.shape) // _SAMPLED_PX)
        low, high = (float(value) for value in np.percentile(frame[::step, ::step], (_DARK, _BRIGHT)))
        high = max(high, low + 1.0)
    return (low, high) if slope > 0 else (high, low)


def _size(file: Part10, image: Image, side_px: int) -> tuple[int, int]:
    """Columns and rows of the picture, its pixels square."""
    height, width = image.rows * _aspect(file), float(image.columns)
    scale = side_px / max(height, width)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _aspect(file: Part10) -> float:
    """Height of a pixel over its width: both elements have the vertical value first (PS3.3 section 10.7.1.3)."""
    for tag in (PIXEL_SPACING, PIXEL_ASPECT_RATIO):
        values = (file.text(tag) or "").split("\\")
        if len(values) == 2:
            height, width = _float(values[0]), _float(values[1])
            if height is not None and width is not None and height > 0 and width > 0:
                return min(max(height / width, 1 / _ASPECT_MAX), _ASPECT_MAX)
    return 1.0


def _number(file: Part10, tag: int) -> float | None:
    """The first value of a DS element."""
    return _float((file.text(tag) or "").split("\\")[0])


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e9 else None
