"""Do the attributes of the Image Pixel module fit together? (PS3.3 section C.7.6.3.1, PS3.5 sections 8.1 and 8.2)"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from consumers.validate.rule import Broken, Rule
from streams.elements import PIXEL_DATA, PIXEL_DATA_TAGS
from streams.part10 import Part10
from streams.pixels.claims import HTJ2K, JPEG, JPEG_2000, JPEG_LS
from streams.pixels.image import (
    BITS_ALLOCATED,
    BITS_STORED,
    HIGH_BIT,
    NATIVE,
    PHOTOMETRIC,
    PIXEL_REPRESENTATION,
    PLANAR,
    RLE_LOSSLESS,
    SAMPLES,
    VIDEO,
)

LOSSY: Final = 0x00282110

RULES = {
    "bits_allocated": Rule(
        "error", "PS3.3 C.7.6.3", "Samples take 1 bit or a whole number of bytes; these do not.", "0028,0100"
    ),
    "bits_stored": Rule(
        "error", "PS3.3 C.7.6.3", "Bits Stored is absent, zero or larger than Bits Allocated.", "0028,0101"
    ),
    "high_bit": Rule("warning", "PS3.5 8.1.1", "High Bit is not one less than Bits Stored.", "0028,0102"),
    "pixel_representation": Rule(
        "error", "PS3.3 C.7.6.3", "Nothing says whether the pixels' values have a sign.", "0028,0103"
    ),
    "photometric_samples": Rule(
        "error",
        "PS3.3 C.7.6.3.1.2",
        "The number of samples is another than this kind of colour or grey has.",
        "0028,0004",
    ),
    "photometric_syntax": Rule(
        "warning", "PS3.5 8.2", "The transfer syntax cannot have this kind of colour.", "0028,0004"
    ),
    "planar_configuration": Rule(
        "warning",
        "PS3.3 C.7.6.3.1.3",
        "Nothing says, or it says what cannot be, whether colours lie by pixel or by plane.",
        "0028,0006",
    ),
    "lossy_flag": Rule(
        "warning",
        "PS3.3 C.7.6.1.1.5",
        "The header says that the image was never compressed with a loss, but it is so compressed.",
        "0028,2110",
    ),
    "float_bits": Rule(
        "error", "PS3.3 C.7.6.24", "Floating point samples take 32 bits, and double ones 64; these do not.", "0028,0100"
    ),
    "pixel_data_twice": Rule(
        "error", "PS3.3 C.7.6.24", "There is pixel data of more than one kind of number.", "7FE0,0010"
    ),
}

_SAMPLES: Final = {
    **dict.fromkeys(("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"), 1),
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420"), 3),
    **dict.fromkeys(("YBR_ICT", "YBR_RCT", "HSV", "XYB"), 3),
    **dict.fromkeys(("ARGB", "CMYK"), 4),
}
_BY_WAVELET: Final = ("YBR_RCT", "YBR_ICT")
_LOSSY: Final = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
# Value bits of float and double float pixel data.
_FLOATS: Final = {0x7FE00008: 32, 0x7FE00009: 64}


def check(file: Part10) -> Iterator[Broken]:
    """Names of the rules that are broken; what is wholly absent is said by `lengths`."""
    element = file.pixel_data
    if element is None:
        return
    if sum(tag in file.elements for tag in PIXEL_DATA_TAGS) > 1:
        yield "pixel_data_twice", None
    if element.tag == PIXEL_DATA:
        yield from _bits(file)
    elif file.unsigned(BITS_ALLOCATED) not in (None, _FLOATS[element.tag]):
        yield "float_bits", None
    yield from _colour(file)
    if file.text(LOSSY) == "00" and (file.transfer_syntax_uid in _LOSSY or file.transfer_syntax_uid.startswith(VIDEO)):
        yield "lossy_flag", None


def _bits(file: Part10) -> Iterator[Broken]:
    allocated, stored = file.unsigned(BITS_ALLOCATED), file.unsigned(BITS_STORED)
    if allocated and allocated != 1 and allocated % 8:
        yield "bits_allocated", None
    if not stored or (allocated and stored > allocated):
        yield "bits_stored", None
    elif file.unsigned(HIGH_BIT) != stored - 1:
        yield "high_bit", None
    if file.unsigned(PIXEL_REPRESENTATION) not in (0, 1):
        yield "pixel_representation", None


def _colour(file: Part10) -> Iterator[Broken]:
    photometric, samples = file.text(PHOTOMETRIC) or "", file.unsigned(SAMPLES)
    if photometric in _SAMPLES and samples and samples != _SAMPLES[photometric]:
        yield "photometric_samples", None
    if photometric and not _is_possible(photometric, file.transfer_syntax_uid):
        yield "photometric_syntax", None
    if samples and samples > 1:
        planar = file.unsigned(PLANAR)
        by_pixel_only = photometric in ("YBR_FULL_422", "YBR_PARTIAL_422") and file.transfer_syntax_uid in NATIVE
        if planar not in (0, 1) or (by_pixel_only and planar):
            yield "planar_configuration", None


def _is_possible(photometric: str, syntax: str) -> bool:
    """As far as PS3.5 section 8.2 leaves no doubt: what wavelets alone make, and what has no meaning after a loss."""
    if photometric in _BY_WAVELET:
        return syntax not in NATIVE | JPEG | JPEG_LS | {RLE_LOSSLESS} and not (
            photometric == "YBR_ICT" and syntax in ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201")
        )
    if photometric == "YBR_FULL_422":
        return syntax not in JPEG_2000 | HTJ2K | JPEG_LS | {RLE_LOSSLESS}
    return not (photometric == "PALETTE COLOR" and syntax in _LOSSY)
