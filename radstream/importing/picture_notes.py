"""What a picture file says beside its pixels: when it was taken, how it was held, their shape, what colours mean."""

from __future__ import annotations

import warnings
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from radstream.importing.libraries import library
from radstream.importing.made import Refused
from radstream.importing.pixels import aspect_of

_TAKEN, _CHANGED, _EXIF, _ORIENTATION = 0x9003, 0x0132, 0x8769, 0x0112
HELD_TURNED: Final = "it was held turned, so it is stored upright"
NOT_SQUARE: Final = "its pixels are no squares, which is said in it (Pixel Aspect Ratio)"
_PROFILE_BYTES_MAX: Final = 4 << 20


@dataclass(frozen=True)
class PictureNotes:
    """`orientation` is Exif's, 1 to 8: 1 is as stored. `profile` is an ICC profile, empty where there is none.

    `aspect` is the height and the width of a pixel of the upright picture, None where it is a square.
    """

    taken: datetime | None
    orientation: int
    profile: bytes
    aspect: tuple[int, int] | None = None


def read(path: Path) -> PictureNotes:
    """Nothing is decoded. Raises Refused where the file is no picture."""
    image = library("PIL.Image", "a picture")
    # The size was looked at before, and nothing is decoded here.
    image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings(action="ignore"), image.open(path) as opened:
            exif: Any = opened.getexif()
            profile = opened.info.get("icc_profile") or b""
            taken = exif.get_ifd(_EXIF).get(_TAKEN) or exif.get(_CHANGED)
            orientation = exif.get(_ORIENTATION, 1)
            density = _density(opened.info)
    except Exception:  # noqa: BLE001 - a library's reader of foreign bytes raises whatever it likes
        return PictureNotes(None, 1, b"")
    if len(profile) > _PROFILE_BYTES_MAX:
        raise Refused("its colour profile is larger than 4 MB")
    orientation = orientation if orientation in range(1, 9) else 1
    return PictureNotes(moment(taken), orientation, profile, aspect_of(*density, orientation))


def _density(info: dict[Any, Any]) -> tuple[float, float]:
    """Pixels in one length, across and down: of JFIF, or of PNG's pHYs with its unit or without."""
    across, down = info.get("jfif_density") or info.get("aspect") or info.get("dpi") or (1, 1)
    return float(across), float(down)


def moment(text: object) -> datetime | None:
    """Exif's way to write a time, which TIFF has too."""
    with suppress(ValueError):
        return datetime.strptime(str(text).strip("\0 ")[:19], "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - it has no zone
    return None
