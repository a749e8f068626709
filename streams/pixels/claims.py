"""What a codestream claims, against what its header says and what so few bytes can hold: before any decoder sees it."""

from __future__ import annotations

import struct
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from streams.codestream import picture
from streams.pixels.image import RLE_LOSSLESS, Image

Pixels = NDArray[np.integer]

# Of the lossy ones the decoder turns colour into RGB; of the others samples come out as they were coded.
JPEG_LOSSY = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
JPEG_LOSSLESS = frozenset({"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"})
JPEG = JPEG_LOSSY | JPEG_LOSSLESS
JPEG_LS = frozenset({"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"})
JPEG_2000 = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"})
HTJ2K = frozenset({"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"})
DECODABLE = JPEG | JPEG_LS | JPEG_2000 | HTJ2K | {RLE_LOSSLESS}

Code = Literal["undecodable", "decoder_absent", "decoder_crashed", "decoder_too_slow", "decoder_too_large"]

# Two bytes make at most 128 (PS3.5 annex G.3.2), and there are at most 15 segments behind 64 bytes of header (G.5).
_RLE_RATIO_MAX = 64
_RLE_HEADER = struct.Struct("<16I")
_RLE_SEGMENTS_MAX = 15
# A blank picture may be coded in next to nothing. Frames up to this size cost little whatever they say; larger ones are
# believed where their codestream is not that much smaller. Radiographs that arrive lossy have ratios up to 50.
_BELIEVED_BYTES = 4 << 20
_RATIO_MAX = 100


class Undecodable(Exception):
    """No picture, or not the one that the header promises. `code` is a stable name of why."""

    def __init__(self, text: str, code: Code = "undecodable") -> None:
        super().__init__(text)
        self.code: Code = code


def check(codestream: bytes, image: Image) -> None:
    """Raises Undecodable where a decoder is not to be asked. Reads the codestream's head alone."""
    if image.transfer_syntax_uid == RLE_LOSSLESS:
        check_rle(codestream, image)
        return
    if image.transfer_syntax_uid not in DECODABLE:
        raise Undecodable("no decoder", "decoder_absent")
    head = picture(codestream)
    if head is None:
        raise Undecodable("no codestream")
    if (head.rows, head.columns, head.samples) != (image.rows, image.columns, image.samples):
        raise Undecodable("another size than the header says")
    if head.bits > 8 * image.dtype.itemsize:
        raise Undecodable("more bits than the header says")
    if image.frame_bytes > max(_BELIEVED_BYTES, _RATIO_MAX * len(codestream)):
        raise Undecodable("a picture too large for its codestream", "decoder_too_large")


def check_rle(segments: bytes, image: Image) -> None:
    """The size is the header's: RLE has none of its own."""
    if image.bits_allocated == 1:
        # Single bits (CP 2301) may be run-length encoded; there is no decoder of such here.
        raise Undecodable("no decoder of single bits", "decoder_absent")
    if len(segments) * _RLE_RATIO_MAX < image.frame_bytes:
        raise Undecodable("fewer segments than the header says")
    if len(segments) < _RLE_HEADER.size:
        raise Undecodable("no header")
    count, *offsets = _RLE_HEADER.unpack_from(segments)
    used = offsets[: min(count, _RLE_SEGMENTS_MAX)]
    if count != image.samples * image.dtype.itemsize or any(
        not _RLE_HEADER.size <= offset < len(segments) for offset in used
    ):
        raise Undecodable("segments elsewhere than its header says")
