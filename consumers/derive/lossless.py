"""The lossless copy: HTJ2K (ISO/IEC 15444-15, PS3.5 annex A.4.7), counted only after it was decoded and compared."""

from __future__ import annotations

import imagecodecs
import numpy as np

from consumers.derive import header
from consumers.derive.pack import Part
from streams.codestream import Picture, picture
from streams.elements import Malformed, TooComplex
from streams.events import FrameRange
from streams.part10 import Part10
from streams.pixels.codecs import LOSSLESS, Pixels, Undecodable
from streams.pixels.frames import Frames
from streams.pixels.image import NATIVE, PHOTOMETRIC, PLANAR, RLE_LOSSLESS, Image
from streams.recoding.around import Unconvertible, around_pixels, short

HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
# Where each frame is stands in the event, in up to eight bytes: these are less than half of what a record holds.
FRAMES_MAX = 50_000

_PHOTOMETRICS = {1: frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"}), 3: frozenset({"RGB", "YBR_FULL"})}
_SIZE_MARKER = b"\xff\x51"
# From the SIZ marker to the first component's depth; each component has three bytes (ISO/IEC 15444-1 table A.9).
_DEPTH_AT, _COMPONENT_BYTES = 40, 3


class Mismatch(Exception):
    """A frame does not decode to what was encoded."""


def copied(file: Part10, image: Image, frames: Frames, pixel_bytes_max: int) -> Part | str:
    """The copy as a DICOM file, or the note that says why there is none."""
    if note := _refused(file, image, pixel_bytes_max):
        return note
    try:
        codestreams = [_codestream(frames.frame(index), image) for index in range(image.frames)]
        return _file(file, image, codestreams)
    except _OutOfRange:
        return "bits_beyond_stored"
    except Mismatch:
        return "lossless_verify_failed"
    except Undecodable as error:
        return error.code
    except (Malformed, TooComplex, Unconvertible):
        return "unconvertible"


def _refused(file: Part10, image: Image, pixel_bytes_max: int) -> str | None:
    if image.transfer_syntax_uid not in NATIVE | {RLE_LOSSLESS}:
        return "already_compressed" if image.transfer_syntax_uid in LOSSLESS else "arrived_lossy"
    if image.frames > FRAMES_MAX or image.frame_bytes * image.frames > pixel_bytes_max:
        return "too_large"
    if file.oddities - {"odd_length"}:
        return "irregular_elements"
    fits = image.photometric in _PHOTOMETRICS[image.samples] and image.bits_allocated in (8, 16)
    return None if fits and image.high_bit == image.bits_stored - 1 else "unsupported_pixels"


class _OutOfRange(Exception):
    """A pixel has bits set beyond Bits Stored: overlays of old, or a sign that was not extended."""


def _codestream(frame: Pixels, image: Image) -> bytes:
    """One verified codestream, its precision that of Bits Stored. Raises Mismatch, _OutOfRange."""
    pixels = np.ascontiguousarray(frame, image.dtype)
    spare = pixels.dtype.itemsize * 8 - image.bits_stored
    coded = _levelled(pixels, image) if spare else pixels
    encoded = imagecodecs.htj2k_encode(coded, reversible=True, rgb=image.photometric == "RGB")
    data = _with_depth(encoded, image) if spare else bytes(encoded)
    expected = Picture(image.rows, image.columns, image.samples, image.bits_stored, image.signed)
    if picture(data) != expected or not _decodes_to(data, pixels):
        raise Mismatch
    return data


def _levelled(pixels: Pixels, image: Image) -> Pixels:
    """Pixels as the codestream has them: signed, an unsigned range moved by half of it.

    The encoder takes the depth from the array's type, so 12 bits in 16 would be announced as 16. JPEG 2000 moves
    unsigned samples by half their range before the transform (ISO/IEC 15444-1 annex G.1): done here with the true
    range, the depth can be set afterwards.
    """
    half = 1 << (image.bits_stored - 1)
    lowest, highest = (-half, half - 1) if image.signed else (0, 2 * half - 1)
    if int(pixels.min()) < lowest or int(pixels.max()) > highest:
        raise _OutOfRange
    return pixels if image.signed else (pixels - pixels.dtype.type(half)).view(f"i{pixels.dtype.itemsize}")


def _with_depth(encoded: bytes | bytearray, image: Image) -> bytes:
    data = bytearray(encoded)
    first = data.index(_SIZE_MARKER) + _DEPTH_AT
    for at in range(first, first + image.samples * _COMPONENT_BYTES, _COMPONENT_BYTES):
        data[at] = (image.bits_stored - 1) | (0x80 if image.signed else 0)
    return bytes(data)


def _decodes_to(data: bytes, pixels: Pixels) -> bool:
    try:
        return np.array_equal(imagecodecs.htj2k_decode(data, planar=False), pixels)
    except (RuntimeError, ValueError):
        return False


def _file(file: Part10, image: Image, codestreams: list[bytes]) -> Part:
    replaced = {}
    if image.samples == 3:
        replaced[PLANAR] = short(PLANAR, b"US", b"\0\0")
        if image.photometric == "RGB":
            replaced[PHOTOMETRIC] = short(PHOTOMETRIC, b"CS", b"YBR_RCT")
    before, behind = around_pixels(file, replaced)
    start = header.file_meta(file, HTJ2K_LOSSLESS) + before
    pixels, ranges = header.pixel_data(codestreams)
    return Part(
        kind="lossless",
        media_type="application/dicom",
        transfer_syntax_uid=HTJ2K_LOSSLESS,
        rows=image.rows,
        columns=image.columns,
        data=b"".join((start, pixels, behind)),
        frames=tuple(FrameRange(offset=len(start) + offset, length=length) for offset, length in ranges),
    )
