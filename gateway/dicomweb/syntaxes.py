"""Which media type a transfer syntax has where frames stand for themselves (PS3.18 tables 8.7.3-4 and 8.7.3-5)."""

from __future__ import annotations

from typing import Final

from streams.part10 import DEFLATED, EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

OCTETS: Final = "application/octet-stream"
DICOM: Final = "application/dicom"
NATIVE: Final = DEFLATED | {IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN}

_JPEG_FAMILY: Final = "1.2.840.10008.1.2.4."
# The first is the standard's; the others are what viewers ask by, that of HTJ2K from before it had one.
_BY_NUMBER: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("50", "51", "57", "70"), ("image/jpeg",)),
    **dict.fromkeys(("80", "81"), ("image/jls", "image/x-jls")),
    **dict.fromkeys(("90", "91"), ("image/jp2", "image/j2c")),
    **dict.fromkeys(("92", "93"), ("image/jpx",)),
    # With ".1" they may have several fragments ("fragmentable", PS3.6 annex A).
    **dict.fromkeys(("100", "100.1", "101", "101.1"), ("video/mpeg",)),
    **dict.fromkeys((f"{number}{more}" for number in range(102, 107) for more in ("", ".1")), ("video/mp4",)),
    **dict.fromkeys(("107", "108"), ("video/h265", "video/mp4")),
    **dict.fromkeys(("110", "111", "112"), ("image/jxl",)),
    **dict.fromkeys(("201", "202", "203"), ("image/jphc", "image/jph", "image/jhc")),
}
MEDIA_TYPES: Final[dict[str, tuple[str, ...]]] = {
    **{_JPEG_FAMILY + number: types for number, types in _BY_NUMBER.items()},
    "1.2.840.10008.1.2.5": ("image/dicom-rle", "image/x-dicom-rle"),
}
