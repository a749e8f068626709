"""Decoders of one frame, by transfer syntax. None is called before the codestream's head agrees with the header.

That keeps a small file from claiming a large picture. These are native libraries in our own process: what they cannot
be trusted with belongs into a sandbox, which is a later issue.
"""

from __future__ import annotations

from collections.abc import Callable

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from streams.codestream import picture
from streams.pixels.image import RLE_LOSSLESS, Image

Pixels = NDArray[np.integer]

# The pixels are what they were before they were compressed (PS3.5 annex A.4, PS3.6 annex A).
LOSSLESS = frozenset(
    f"1.2.840.10008.1.2.4.{number}" for number in ("57", "70", "80", "90", "92", "110", "201", "202", "204")
) | {RLE_LOSSLESS, "1.2.840.10008.1.2.8.1"}


# Two bytes make at most 128 (PS3.5 annex G.3.2).
_RLE_RATIO_MAX = 64

# Colour comes out of these as RGB whatever it was in the codestream.
JPEG = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in ("50", "51", "57", "70"))


class Undecodable(Exception):
    """No decoder for this, or not the picture that the header promises."""


def decode(codestream: bytes, image: Image) -> Pixels:
    """One frame in `image.shape`, colour as RGB unless it is a palette's. Raises Undecodable."""
    if image.transfer_syntax_uid == RLE_LOSSLESS:
        return _rle(codestream, image)
    decoder = _DECODERS.get(image.transfer_syntax_uid)
    head = picture(codestream)
    if decoder is None or head is None:
        raise Undecodable("no decoder")
    if (head.rows, head.columns, head.samples) != (image.rows, image.columns, image.samples):
        raise Undecodable("another size than the header says")
    try:
        decoded: Pixels = decoder(codestream, image)
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        # The codecs' errors are RuntimeErrors; their texts are of no use to anybody.
        raise Undecodable(type(error).__name__) from None
    if decoded.shape != image.shape or decoded.dtype.kind not in "iu":
        raise Undecodable("another shape than the header says")
    return _signed(decoded, head.bits) if image.signed else decoded


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
    if image.bits_allocated == 1 or len(segments) * _RLE_RATIO_MAX < image.frame_bytes:
        raise Undecodable("fewer segments than the header says")
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
    # The header, not a guess from markers, says what the three components are (PS3.5 section 8.2.1).
    space = "RGB" if image.photometric == "RGB" else "YCBCR"
    return imagecodecs.jpeg8_decode(codestream, colorspace=space, outcolorspace="RGB")


def _jpeg_ls(codestream: bytes, _: Image) -> Pixels:
    return imagecodecs.jpegls_decode(codestream)


def _jpeg_2000(codestream: bytes, _: Image) -> Pixels:
    return imagecodecs.jpeg2k_decode(codestream, planar=False, numthreads=1)


def _htj2k(codestream: bytes, _: Image) -> Pixels:
    return imagecodecs.htj2k_decode(codestream, planar=False)


_DECODERS: dict[str, Callable[[bytes, Image], Pixels]] = {
    **dict.fromkeys(JPEG, _jpeg),
    "1.2.840.10008.1.2.4.80": _jpeg_ls,
    "1.2.840.10008.1.2.4.81": _jpeg_ls,
    "1.2.840.10008.1.2.4.90": _jpeg_2000,
    "1.2.840.10008.1.2.4.91": _jpeg_2000,
    "1.2.840.10008.1.2.4.201": _htj2k,
    "1.2.840.10008.1.2.4.202": _htj2k,
    "1.2.840.10008.1.2.4.203": _htj2k,
}
