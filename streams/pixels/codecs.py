"""Decoders of one frame, by transfer syntax. None is called before the codestream's head agrees with the header.

These are native libraries. Services call them through `streams.sandbox`, whose helper processes this runs in.
"""

from __future__ import annotations

from collections.abc import Callable

import imagecodecs
import numpy as np

from streams.codestream import colour_of, picture
from streams.pixels import claims
from streams.pixels.claims import (
    HTJ2K,
    JPEG,
    JPEG_2000,
    JPEG_LOSSLESS,
    JPEG_LOSSY,
    JPEG_LS,
    Pixels,
    Undecodable,
)
from streams.pixels.image import RLE_LOSSLESS, Image

__all__ = ["JPEG_LOSSY", "LOSSLESS", "Pixels", "Undecodable", "decode"]

# The pixels are what they were before they were compressed (PS3.5 annex A.4, PS3.6 annex A).
LOSSLESS = frozenset(
    f"1.2.840.10008.1.2.4.{number}" for number in ("57", "70", "80", "90", "92", "110", "201", "202", "204")
) | {RLE_LOSSLESS, "1.2.840.10008.1.2.8.1"}


def decode(codestream: bytes, image: Image) -> Pixels:
    """One frame in `image.shape`, colour as RGB unless it is a palette's. Raises Undecodable.

    Colour of a lossy JPEG comes out as RGB whatever it was in the codestream, of a lossless one as it was coded.
    """
    claims.check(codestream, image)
    if image.transfer_syntax_uid == RLE_LOSSLESS:
        return _rle(codestream, image)
    try:
        decoded: Pixels = _DECODERS[image.transfer_syntax_uid](codestream, image)
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        # The codecs' errors are RuntimeErrors; their texts are of no use to anybody.
        raise Undecodable(type(error).__name__) from None
    if decoded.shape != image.shape or decoded.dtype.kind not in "iu":
        raise Undecodable("another shape than the header says")
    head = picture(codestream)
    return _signed(decoded, head.bits) if image.signed and head is not None else decoded


def _signed(decoded: Pixels, bits: int) -> Pixels:
    """JPEG and JPEG-LS know no sign: the header's pixel representation says how to read the bits."""
    if decoded.dtype.kind == "i":
        return decoded
    spare = decoded.dtype.itemsize * 8 - bits
    as_signed: Pixels = decoded.view(f"i{decoded.dtype.itemsize}")
    extended: Pixels = np.right_shift(np.left_shift(as_signed, spare), spare)
    return extended


def _rle(segments: bytes, image: Image) -> Pixels:
    """RLE (PS3.5 annex G). The size is the header's: a decoder that ends anywhere else fails."""
    try:
        planes = imagecodecs.dicomrle_decode(segments, image.dtype, out=image.frame_bytes)
    except (RuntimeError, ValueError, TypeError) as error:
        raise Undecodable(type(error).__name__) from None
    if len(planes) != image.frame_bytes:
        raise Undecodable("another length than the header says")
    frame = np.frombuffer(planes, image.dtype).reshape(image.samples, image.rows, image.columns)
    return frame[0] if image.samples == 1 else np.ascontiguousarray(np.moveaxis(frame, 0, -1))


def _jpeg(codestream: bytes, image: Image) -> Pixels:
    if image.samples == 1:
        gray: Pixels = imagecodecs.jpeg8_decode(codestream)
        return gray
    if image.transfer_syntax_uid in JPEG_LOSSLESS:
        # To say the same of both ends is to have nothing turned: it would round, and the library refuses it.
        return imagecodecs.jpeg8_decode(codestream, colorspace="RGB", outcolorspace="RGB")
    # PS3.5 section 8.2.1: the header says what the three components are. Where the codestream says another thing it is
    # the header that is wrong: photographs are wrapped as RGB, and are none.
    space = colour_of(codestream) or ("RGB" if image.photometric == "RGB" else "YCBCR")
    return imagecodecs.jpeg8_decode(codestream, colorspace=space, outcolorspace="RGB")


def _jpeg_ls(codestream: bytes, _: Image) -> Pixels:
    return imagecodecs.jpegls_decode(codestream)


def _jpeg_2000(codestream: bytes, _: Image) -> Pixels:
    return imagecodecs.jpeg2k_decode(codestream, planar=False, numthreads=1)


def _htj2k(codestream: bytes, _: Image) -> Pixels:
    return imagecodecs.htj2k_decode(codestream, planar=False)


_DECODERS: dict[str, Callable[[bytes, Image], Pixels]] = {
    **dict.fromkeys(JPEG, _jpeg),
    **dict.fromkeys(JPEG_LS, _jpeg_ls),
    **dict.fromkeys(JPEG_2000, _jpeg_2000),
    **dict.fromkeys(HTJ2K, _htj2k),
}
