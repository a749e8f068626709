"""'Not for diagnosis', under a preview and a strip, and inside every picture file."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

NOTICE = "Not for diagnosis."
FOR_PROCESSING = "For processing: not meant to be read."
_BACKGROUND, _TEXT = 32, 224
_HEIGHT_PX, _MARGIN_PX = 20, 4
_FONT_PX = 13


def text_of(*, for_processing: bool) -> str:
    return f"{NOTICE} {FOR_PROCESSING}" if for_processing else NOTICE


def with_strip(picture: Picture.Image, text: str) -> Picture.Image:
    """The picture, and the text in a strip of its own below it: no pixel of the image is covered."""
    out = Picture.new(picture.mode, (picture.width, picture.height + _HEIGHT_PX))
    out.paste(picture)
    out.paste(_strip(picture.width, text).convert(picture.mode), (0, picture.height))
    return out


@lru_cache(maxsize=32)
def _strip(width: int, text: str) -> Picture.Image:
    """The text as large as it fits in, at most 13 pixels."""
    out = Picture.new("L", (width, _HEIGHT_PX), _BACKGROUND)
    draw = ImageDraw.Draw(out)
    font = ImageFont.load_default(_FONT_PX)
    for size in range(_FONT_PX, 5, -1):
        font = ImageFont.load_default(size)
        if draw.textlength(text, font) <= width - 2 * _MARGIN_PX:
            break
    draw.text((_MARGIN_PX, _HEIGHT_PX // 2), text, fill=_TEXT, font=font, anchor="lm")
    return out
