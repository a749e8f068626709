"""Is the pixel data what the header says, and can it be decoded? (PS3.3 section C.7.6.3, PS3.5 section 8 and annex A)

Flows in: a file that was walked through.
Flows out: names of rules that are broken.
Touches: nothing but the decoders' sandbox.
"""

from __future__ import annotations

from collections.abc import Iterator

from consumers.validate.config import Limits
from consumers.validate.pixels import attributes, codestreams, decoding, lengths, offsets, palette
from consumers.validate.pixels.lengths import COLUMNS, ROWS
from consumers.validate.rule import Broken, Rule
from streams.part10 import Part10

__all__ = ["COLUMNS", "ROWS", "RULES", "check"]

RULES: dict[str, Rule] = attributes.RULES | palette.RULES | offsets.RULES | codestreams.RULES | decoding.RULES


def check(file: Part10, limits: Limits, *, is_image: bool) -> Iterator[Broken]:
    """Names of the rules that the pixel data breaks, with a tag where the rule leaves it open.

    Cheap ones first; nothing is decoded whose header or length is wrong already.
    """
    unfit = False
    for name, place in lengths.check(file, is_image=is_image):
        yield name, place
        unfit = unfit or name != "pixel_length_excess"
    if file.pixel_data is None:
        return
    yield from attributes.check(file)
    yield from palette.check(file)
    yield from offsets.check(file)
    if not unfit:
        yield from codestreams.check(file)
        yield from decoding.check(file, limits)
