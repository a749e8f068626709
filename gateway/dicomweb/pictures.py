"""Rendered resources (PS3.18 section 10.4.1.1.4): what is asked for, out of the query."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import QueryParams

from gateway.dicomweb.accepting import Offer
from gateway.problem import Problem
from streams.rendering.files import Format
from streams.rendering.frame import Viewport
from streams.rendering.voi import Function, Window

FORMATS: Final[Mapping[str, Format]] = {"image/jpeg": "jpeg", "image/png": "png", "image/webp": "webp"}
OFFERS: Final = [Offer(kind, is_default=kind == "image/jpeg", parts=False) for kind in FORMATS]

_PIXELS_MAX: Final = 1 << 26
_FUNCTIONS: Final[Mapping[str, Function]] = {
    "linear": "LINEAR",
    "linear-exact": "LINEAR_EXACT",
    "sigmoid": "SIGMOID",
}
_PROFILES: Final = frozenset(("no", "yes", "srgb", "adobergb", "rommrgb", "displayp3"))
_ANNOTATIONS: Final = frozenset(("patient", "technique"))


@dataclass(frozen=True)
class Wish:
    """What a query asks for. `warnings` are what of it is not done."""

    window: Window | None
    viewport: Viewport | None
    quality: int | None
    technique: bool
    frame: int | None
    warnings: tuple[str, ...]

    @property
    def is_plain(self) -> bool:
        """Whether the pictures that were made in advance show it."""
        return self.window is None and self.quality is None and not self.technique and self.frame is None

    @property
    def headers(self) -> dict[str, str]:
        """RFC 7234 section 5.5, as PS3.18 section 8.3.5 wants it."""
        said = ", ".join(f'299 radstream "{text}"' for text in self.warnings)
        return {"warning": said} if said else {}


def wish_of(query: QueryParams, *, has_frame: bool) -> Wish:
    """Raises Problem 400 for a value that is none. `has_frame`: the path says which frame."""
    annotation = _words(query.get("annotation"), _ANNOTATIONS, "annotation is patient, technique, or both.")
    profile = _words(query.get("iccprofile"), _PROFILES, "iccprofile is no, yes, srgb, adobergb, rommrgb or displayp3.")
    warnings = []
    if "patient" in annotation:
        warnings.append("no patient attributes are burned in")
    if profile - {"no"}:
        warnings.append("no ICC profile is put into pictures")
    return Wish(
        window=_window(query.get("window")),
        viewport=_viewport(query.get("viewport")),
        quality=_whole(query.get("quality"), 1, 100, "quality is a whole number from 1 to 100."),
        technique="technique" in annotation,
        frame=None if has_frame else _whole(query.get("frame"), 1, 1 << 31, "frame is a whole number from 1 on."),
        warnings=tuple(warnings),
    )


def _words(text: str | None, known: frozenset[str], sentence: str) -> frozenset[str]:
    words = frozenset(text.lower().split(",")) if text else frozenset[str]()
    if words - known:
        raise Problem(400, sentence)
    return words


def _whole(text: str | None, least: int, most: int, sentence: str) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and least <= int(text) <= most):
        raise Problem(400, sentence)
    return int(text)


def _window(text: str | None) -> Window | None:
    """center,width,function: all three are wanted (section 8.3.5.1.4); without the third it is linear."""
    if text is None:
        return None
    center, _, rest = text.partition(",")
    width, _, function = rest.partition(",")
    try:
        function = function.lower() if rest.count(",") else "linear"
        if function not in _FUNCTIONS:
            raise ValueError
        return Window(_number(center), _number(width), _FUNCTIONS[function])
    except ValueError:
        raise Problem(
            400, "window is a center, a width that its function takes, and linear, linear-exact or sigmoid."
        ) from None


def _viewport(text: str | None) -> Viewport | None:
    """vw,vh or vw,vh,sx,sy,sw,sh (section 8.3.5.1.3); what is left out between commas is as without it."""
    if text is None:
        return None
    try:
        numbers = [_number(part) if part.strip() else None for part in text.split(",")]
        if len(numbers) not in (2, 6) or None in numbers[:2]:
            raise ValueError
        width, height, left, top, columns, rows = (*numbers, None, None, None, None)[:6]
        found = Viewport(
            round(width or 0),
            round(height or 0),
            round(left or 0),
            round(top or 0),
            None if columns is None else round(columns),
            None if rows is None else round(rows),
        )
        if found.width * found.height > _PIXELS_MAX:
            raise ValueError
    except ValueError:
        raise Problem(
            400, "viewport is a width and a height in pixels, and may be followed by the region: x, y, width, height."
        ) from None
    return found


def _number(text: str) -> float:
    value = float(text) if len(text) <= 32 and "_" not in text else math.nan
    if not math.isfinite(value) or abs(value) > 1e9:
        raise ValueError
    return value
