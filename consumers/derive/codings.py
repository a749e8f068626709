"""Encoders of the lossless copy, a frame at a time. Who calls decodes what they make and compares.

Their codestreams have the precision of Bits Stored (docs/decisions/0010, 0053), so readers have one answer to believe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import imagecodecs
import jpeg_ls

from consumers.derive.config import Syntax
from streams.pixels.codecs import Pixels
from streams.pixels.image import Image

HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"

_SIZE_MARKER = b"\xff\x51"
# From the SIZ marker to the first component's depth; each component has three bytes (ISO/IEC 15444-1 table A.9).
_DEPTH_AT, _COMPONENT_BYTES = 40, 3
# PS3.5 section 10.18: the base resolution of RPCL is a thumbnail, at most so wide or so high. OpenJPH takes five steps
# by itself, and the standard (ISO/IEC 15444-1 table A.15) has 32 at most.
_BASE_PX_MAX, _STEPS_MIN = 64, 5


class Unencodable(Exception):
    """The encoder takes no such frame."""


@dataclass(frozen=True)
class Coding:
    """`encode` takes a contiguous frame of `image.shape`, each value within Bits Stored, and raises Unencodable.

    `takes` says whether there is a codestream of such samples that all readers take.

    `keeps_sign`: the codestream says of its samples whether they are signed; else the data set alone does.
    `turns_rgb`: RGB is stored as the reversible component transform makes it, which Photometric Interpretation says.
    """

    transfer_syntax_uid: str
    encode: Callable[[Pixels, Image], bytes]
    keeps_sign: bool
    turns_rgb: bool
    takes: Callable[[Image], bool]


def _htj2k(pixels: Pixels, image: Image, *, progressive: bool) -> bytes:
    """HTJ2K (ISO/IEC 15444-15, PS3.5 annex A.4.7).

    OpenJPH orders packets by resolution, position, component and layer anyway. `progressive` adds what section 10.18
    asks of RPCL: marker segments with the lengths of tile-parts (TLM), here one for each resolution.
    """
    spare = pixels.dtype.itemsize * 8 - image.bits_stored
    coded = _levelled(pixels, image) if spare else pixels
    try:
        encoded = imagecodecs.htj2k_encode(
            coded,
            reversible=True,
            rgb=image.photometric in ("RGB", "YBR_RCT"),
            resolutions=_steps(image) if progressive else None,
            tlm=progressive,
            tilepart=imagecodecs.HTJ2K.TILEPART.RESOLUTIONS if progressive else None,
        )
    except RuntimeError:
        raise Unencodable from None
    return _with_depth(encoded, image) if spare else bytes(encoded)


def _steps(image: Image) -> int:
    """How often the picture is halved."""
    shorter = min(image.rows, image.columns)
    return max(_STEPS_MIN, (-(-shorter // _BASE_PX_MAX) - 1).bit_length())


def _levelled(pixels: Pixels, image: Image) -> Pixels:
    """Pixels as the codestream has them: signed, an unsigned range moved by half of it.

    The encoder takes the depth from the array's type, so 12 bits in 16 would be announced as 16. JPEG 2000 moves
    unsigned samples by half their range before the transform (ISO/IEC 15444-1 annex G.1): done here with the true
    range, the depth can be set afterwards.
    """
    half = pixels.dtype.type(1 << (image.bits_stored - 1))
    return pixels if image.signed else (pixels - half).view(f"i{pixels.dtype.itemsize}")


def _with_depth(encoded: bytes | bytearray, image: Image) -> bytes:
    data = bytearray(encoded)
    first = data.index(_SIZE_MARKER) + _DEPTH_AT
    for at in range(first, first + image.samples * _COMPONENT_BYTES, _COMPONENT_BYTES):
        data[at] = (image.bits_stored - 1) | (0x80 if image.signed else 0)
    return bytes(data)


def _jpeg_ls(pixels: Pixels, image: Image) -> bytes:
    """JPEG-LS (ISO/IEC 14495-1, PS3.5 section 8.2.3), colour interleaved by sample.

    It knows no sign: the bits that are stored are coded as they are, and the data set's Pixel Representation holds.
    pyjpegls gives the encoder twice the frame's size for its output, which a handful of pixels can exceed.
    """
    bits = pixels.view(f"u{pixels.dtype.itemsize}")
    if image.signed:
        bits = bits & bits.dtype.type((1 << image.bits_stored) - 1)
    by_sample = 2 if image.samples == 3 else 0
    try:
        made = jpeg_ls.encode_buffer(
            bits.tobytes(), image.rows, image.columns, image.samples, image.bits_stored, 0, by_sample
        )
    except RuntimeError:
        raise Unencodable from None
    return bytes(made)


def _fits_jpeg_ls(image: Image) -> bool:
    """At least two bits, says ISO/IEC 14495-1. Of 8 bits in words of 16, DCMTK and GDCM take no codestream of 8."""
    return image.bits_stored >= 2 and (image.bits_stored > 8) == (image.bits_allocated > 8)


def _always(_: Image) -> bool:
    return True


CODINGS: Mapping[Syntax, Coding] = {
    "htj2k": Coding(HTJ2K_LOSSLESS, partial(_htj2k, progressive=False), True, True, _always),
    "htj2k-rpcl": Coding(HTJ2K_LOSSLESS_RPCL, partial(_htj2k, progressive=True), True, True, _always),
    "jpeg-ls": Coding(JPEG_LS_LOSSLESS, _jpeg_ls, False, False, _fits_jpeg_ls),
}
