"""Can every frame be decoded, has every sample a value that it may have (PS3.5 sections 8.1 and 8.2), and does it show
anything?

Within a budget of bytes, which the file alone decides, and one of time, which is for what nobody foresaw.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Final

from consumers.validate.config import Limits
from consumers.validate.quality.exposure import Seen
from consumers.validate.rule import Broken, Rule
from streams.encapsulated import Encapsulated
from streams.part10 import Part10
from streams.pixels.claims import DECODABLE, Pixels, Undecodable, check_rle
from streams.pixels.frames import Frames
from streams.pixels.image import RLE_LOSSLESS, Image, describe

RULES = {
    "pixels_undecodable": Rule(
        "error", "PS3.5 8.2", "A frame's compressed pixels are damaged: they cannot be decoded.", "7FE0,0010"
    ),
    "decoder_crashed": Rule(
        "error",
        "PS3.5 8.2",
        "A frame's compressed pixels made the decoder fail; other viewers may fail too.",
        "7FE0,0010",
    ),
    "decoder_too_slow": Rule(
        "error",
        "PS3.5 8.2",
        "A frame's compressed pixels take far longer to decode than their size allows.",
        "7FE0,0010",
    ),
    "decoder_too_large": Rule(
        "warning",
        "PS3.5 8.2",
        "A frame claims to be larger than this site decodes, or than its compressed pixels can be.",
        "7FE0,0010",
    ),
    "decoder_absent": Rule(
        "info", "PS3.5 A.4", "No decoder here knows such compressed pixels: they were not looked at.", "7FE0,0010"
    ),
    "pixels_not_all_checked": Rule(
        "info", "PS3.5 8.2", "There are more pixels than are looked at here: some frames were not checked.", "7FE0,0010"
    ),
    "bits_beyond_stored": Rule(
        "warning", "PS3.5 8.1.1", "A sample has a value that does not fit into Bits Stored.", "7FE0,0010"
    ),
}

_OVERLAY_GROUPS: Final = range(0x6000, 0x6020, 2)
_OVERLAY_BITS: Final = 0x0100
_ANY_SIZE: Final = 1 << 62


def check(file: Part10, items: Encapsulated | None, limits: Limits) -> Iterator[Broken]:
    """At most one reason why frames were not decoded, and whether values are out of their range.

    `items` of encapsulated pixel data.
    """
    image = describe(file, _ANY_SIZE)
    if isinstance(image, str):
        if image == "unsupported_pixels" and file.pixel_data is not None and file.pixel_data.undefined_length:
            yield "decoder_absent", None
        return
    if not image.is_native and image.transfer_syntax_uid not in DECODABLE:
        # Video has all its frames in one stream (PS3.5 section 8.2.5 and after), so none of them is missing.
        yield "decoder_absent", None
        return
    if image.frame_bytes > limits.frame_bytes_max:
        yield _too_large(Frames(file, image, items), image), None
        return
    chosen: Sequence[int] = range(image.frames)
    if image.frames * image.frame_bytes > limits.decoded_bytes_max:
        chosen = sorted({0, image.frames // 2, image.frames - 1})
        yield "pixels_not_all_checked", None
    yield from _frames(file, Frames(file, image, items), image, chosen, limits)


def _too_large(frames: Frames, image: Image) -> str:
    """Of a frame that nobody is asked to decode: RLE that is too short for it is damaged all the same."""
    if image.is_native:
        return "pixels_not_all_checked"
    if image.transfer_syntax_uid == RLE_LOSSLESS:
        try:
            check_rle(bytes(frames.codestreams[0]), image)
        except Undecodable as error:
            return "pixels_undecodable" if error.code == "undecodable" else error.code
    return "decoder_too_large"


def _frames(file: Part10, frames: Frames, image: Image, chosen: Sequence[int], limits: Limits) -> Iterator[Broken]:
    until = time.monotonic() + limits.decode_seconds_max
    measured, seen = _is_measured(file, image), Seen.of(file, image)
    for index in chosen:
        try:
            pixels = frames.frame(index)
        except Undecodable as error:
            yield "pixels_undecodable" if error.code == "undecodable" else error.code, None
            return
        if measured and _is_beyond(pixels, image):
            yield "bits_beyond_stored", None
            measured = False
        if seen is not None:
            seen.look(pixels)
        if time.monotonic() > until and index != chosen[-1]:
            yield "pixels_not_all_checked", None
            return
    if seen is not None and len(chosen) == image.frames:
        yield from seen.broken()


def _is_measured(file: Part10, image: Image) -> bool:
    """Whether bits beyond those stored are nobody's: overlays of old lie there (PS3.5 section 8.1.2)."""
    has_overlays = any((file.unsigned(group << 16 | _OVERLAY_BITS) or 1) > 1 for group in _OVERLAY_GROUPS)
    return 1 < image.bits_stored < image.bits_allocated and image.high_bit == image.bits_stored - 1 and not has_overlays


def _is_beyond(pixels: Pixels, image: Image) -> bool:
    half = 1 << (image.bits_stored - 1)
    lowest, highest = (-half, half - 1) if image.signed else (0, 2 * half - 1)
    return int(pixels.max()) > highest or (image.signed and int(pixels.min()) < lowest)
