"""The lossless copy, counted only after it was decoded and compared."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from consumers.derive import header
from consumers.derive.codings import CODINGS, Coding, Unencodable
from consumers.derive.pack import Part
from consumers.derive.policy import Choice
from streams.codestream import Picture, is_irreversible, picture
from streams.elements import Malformed, TooComplex
from streams.events import FrameRange
from streams.part10 import Part10
from streams.pixels.claims import HTJ2K, JPEG_2000
from streams.pixels.codecs import LOSSLESS, Pixels, Undecodable, decode
from streams.pixels.frames import Frames
from streams.pixels.image import NATIVE, PHOTOMETRIC, PLANAR, RLE_LOSSLESS, Image
from streams.recoding import implicit
from streams.recoding.around import Unconvertible, around_pixels, short

# Where each frame is stands in the event, in up to eight bytes: these are less than half of what a record holds.
FRAMES_MAX = 50_000

# Of a codestream: how it is coded stands within them.
_HEAD_BYTES = 1 << 17
_GREY = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
# What decoders give as it was coded (streams.pixels.codecs); YBR_RCT comes back as the RGB that it was made of.
_RGB = frozenset({"RGB", "YBR_RCT"})
_PHOTOMETRICS = {1: _GREY, 3: _RGB | {"YBR_FULL"}}


class Mismatch(Exception):
    """A frame does not decode to what was encoded."""


class _OutOfRange(Exception):
    """A pixel has bits set beyond Bits Stored: overlays of old, or a sign not extended or not announced."""


def copied(file: Part10, image: Image, frames: Frames, pixel_bytes_max: int, choice: Choice) -> Part | str:
    """The copy as a DICOM file, or the note that says why there is none."""
    coding = CODINGS.get(choice.syntax)
    if coding is None:
        return "not_wanted"
    if note := _refused(file, image, pixel_bytes_max, coding, choice):
        return note
    try:
        if _arrived_lossy(frames, image):
            return "arrived_lossy"
        codestreams = [_codestream(frames.frame(index), image, coding) for index in range(image.frames)]
        return _file(file, image, codestreams, coding)
    except _OutOfRange:
        return "bits_beyond_stored"
    except Mismatch:
        return "lossless_verify_failed"
    except Unencodable:
        return "unsupported_pixels"
    except Undecodable as error:
        return error.code
    except (Malformed, TooComplex, Unconvertible):
        return "unconvertible"


def _refused(file: Part10, image: Image, pixel_bytes_max: int, coding: Coding, choice: Choice) -> str | None:
    source = image.transfer_syntax_uid
    if source not in NATIVE | LOSSLESS:
        return "arrived_lossy"
    if source == coding.transfer_syntax_uid or not (source in NATIVE | {RLE_LOSSLESS} or choice.recompress):
        return "already_compressed"
    if image.frames > FRAMES_MAX or image.frame_bytes * image.frames > pixel_bytes_max:
        return "too_large"
    if file.oddities - {"odd_length"}:
        return "irregular_elements"
    fits = image.photometric in _PHOTOMETRICS[image.samples] and image.bits_allocated in (8, 16)
    fits = fits and coding.takes(image) and image.high_bit == image.bits_stored - 1
    return None if fits else "unsupported_pixels"


def _arrived_lossy(frames: Frames, image: Image) -> bool:
    """Whether a wavelet that loses made the codestreams, whatever their transfer syntax says. Raises Undecodable."""
    if image.transfer_syntax_uid not in JPEG_2000 | HTJ2K:
        return False
    codestreams = frames.codestreams
    return any(is_irreversible(bytes(codestreams[nth][:_HEAD_BYTES])) for nth in range(image.frames))


def _codestream(frame: Pixels, image: Image, coding: Coding) -> bytes:
    """One verified codestream, its precision that of Bits Stored. Raises Mismatch, _OutOfRange."""
    pixels = _within_range(frame, image)
    data = coding.encode(pixels, image)
    signed = image.signed and coding.keeps_sign
    if picture(data) != Picture(image.rows, image.columns, image.samples, image.bits_stored, signed):
        raise Mismatch
    # By the decoder that everybody here reads it with; tests ask others (docs/decisions/0053 has what it would cost).
    try:
        decoded = decode(data, replace(image, transfer_syntax_uid=coding.transfer_syntax_uid))
    except Undecodable as error:
        if error.code == "decoder_too_large":
            # A large frame of next to nothing: whoever reads here would not believe the copy, as it would a bomb.
            raise
        raise Mismatch from None
    if not np.array_equal(decoded, pixels):
        raise Mismatch
    return data


def _within_range(frame: Pixels, image: Image) -> Pixels:
    """The frame in memory as the header says it. Raises _OutOfRange where a value has more bits than are stored."""
    if frame.dtype != image.dtype or frame.dtype.itemsize * 8 != image.bits_stored:
        half = 1 << (image.bits_stored - 1)
        lowest, highest = (-half, half - 1) if image.signed else (0, 2 * half - 1)
        if int(frame.min()) < lowest or int(frame.max()) > highest:
            raise _OutOfRange
    return np.ascontiguousarray(frame, image.dtype)


def _file(file: Part10, image: Image, codestreams: list[bytes], coding: Coding) -> Part:
    pixels = header.pixel_data(codestreams)
    replaced = header.offset_tables(pixels)
    if image.samples == 3:
        replaced[PLANAR] = short(PLANAR, b"US", b"\0\0")
        if image.photometric in _RGB:
            replaced[PHOTOMETRIC] = short(PHOTOMETRIC, b"CS", b"YBR_RCT" if coding.turns_rgb else b"RGB")
    before, behind = around_pixels(file, replaced)
    if not image.is_native:
        # An icon may be encapsulated as well, deep in a sequence, and is in the transfer syntax of the whole.
        implicit.converted(before)
        implicit.converted(behind)
    start = header.file_meta(file, coding.transfer_syntax_uid) + before
    return Part(
        kind="lossless",
        media_type="application/dicom",
        transfer_syntax_uid=coding.transfer_syntax_uid,
        rows=image.rows,
        columns=image.columns,
        data=b"".join((start, *pixels.chunks, behind)),
        frames=tuple(FrameRange(offset=len(start) + offset, length=length) for offset, length in pixels.places),
    )
