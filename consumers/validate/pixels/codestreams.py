"""Does each frame's codestream say the same of its samples as the header? (PS3.5 section 8.2 and annex A.4)

And does it end? Decoders fill up what is missing and say nothing.

Read from the codestreams' heads and tails; nothing is decoded. What size a frame has is looked at before it is decoded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from consumers.validate.pixels.lengths import shape
from consumers.validate.rule import Broken, Rule
from streams import encapsulated
from streams.codestream import colour_of, ends, is_irreversible, picture
from streams.elements import Malformed
from streams.encapsulated import Encapsulated
from streams.part10 import Part10
from streams.pixels.claims import DECODABLE, HTJ2K, JPEG_2000, JPEG_LOSSY
from streams.pixels.image import BITS_STORED, PHOTOMETRIC, PIXEL_REPRESENTATION, RLE_LOSSLESS

RULES = {
    # JPEG lossless of 12 bits is often written as one of 16: nothing is lost by it.
    "codestream_precision": Rule(
        "info", "PS3.5 8.2", "The compressed pixels have more bits than Bits Stored says.", "0028,0101"
    ),
    "codestream_sign": Rule(
        "warning",
        "PS3.5 8.2.4",
        "The compressed pixels have a sign and the header says that they have none, or the reverse.",
        "0028,0103",
    ),
    "codestream_colour": Rule(
        "warning",
        "PS3.5 8.2.1",
        "The compressed pixels are of another kind of colour than the header says: some viewers show wrong colours.",
        "0028,0004",
    ),
    "codestream_cut": Rule(
        "error", "PS3.5 8.2", "A frame's codestream does not end: a part of the picture is missing.", "7FE0,0010"
    ),
    "codestream_lossy": Rule(
        "error", "PS3.5 A.4.4", "The transfer syntax is a lossless one, and the pixels are compressed with a loss."
    ),
}

_FRAMES_MAX: Final = 1_000
_HEAD_BYTES: Final = 1 << 17
_COLOURS: Final = 3
_LOSSLESS_WAVELETS: Final = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202"})


def check(file: Part10, items: Encapsulated) -> Iterator[Broken]:
    """Each rule once, at the first frame that breaks it; of many frames the first thousand are looked at."""
    syntax = file.transfer_syntax_uid
    if syntax not in DECODABLE - {RLE_LOSSLESS}:
        return
    try:
        frames = encapsulated.frames(file.data, items, shape(file).frames)
    except Malformed:
        return
    said: set[str] = set()
    for index in range(min(len(frames), _FRAMES_MAX)):
        frame = frames[index]
        for name in _frame(file, frame, syntax):
            if name not in said:
                said.add(name)
                yield name, None


def _frame(file: Part10, frame: bytes | memoryview, syntax: str) -> Iterator[str]:
    codestream = bytes(frame[:_HEAD_BYTES])
    head = picture(codestream)
    if head is None:
        return
    if not ends(frame):
        yield "codestream_cut"
    stored, representation = file.unsigned(BITS_STORED), file.unsigned(PIXEL_REPRESENTATION)
    if stored and head.bits > stored:
        yield "codestream_precision"
    colour = colour_of(codestream) if syntax in JPEG_LOSSY and head.samples == _COLOURS else None
    if colour is not None and (colour == "RGB") != (file.text(PHOTOMETRIC) == "RGB"):
        yield "codestream_colour"
    if syntax in JPEG_2000 | HTJ2K and representation is not None and head.signed != bool(representation):
        yield "codestream_sign"
    if syntax in _LOSSLESS_WAVELETS and is_irreversible(codestream):
        yield "codestream_lossy"
