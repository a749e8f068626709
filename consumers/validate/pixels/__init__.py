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
from streams import encapsulated
from streams.elements import Malformed
from streams.encapsulated import Encapsulated
from streams.part10 import Part10

__all__ = ["COLUMNS", "ROWS", "RULES", "check"]

RULES: dict[str, Rule] = attributes.RULES | palette.RULES | offsets.RULES | codestreams.RULES | decoding.RULES


def check(file: Part10, limits: Limits, *, is_image: bool) -> Iterator[Broken]:
    """Names of the rules that the pixel data breaks, with a tag where the rule leaves it open.

    Cheap ones first; nothing is decoded whose header or length is wrong already.
    """
    unfit, items = False, _items(file)
    for name, place in lengths.check(file, items, is_image=is_image):
        yield name, place
        unfit = unfit or name != "pixel_length_excess"
    if file.pixel_data is None:
        return
    yield from attributes.check(file)
    yield from palette.check(file)
    yield from offsets.check(file, items)
    if not unfit:
        if items is not None:
            yield from codestreams.check(file, items)
        yield from decoding.check(file, items, limits)


def _items(file: Part10) -> Encapsulated | None:
    """Of encapsulated pixel data, read once: there may be very many."""
    element = file.pixel_data
    if element is None or not element.undefined_length:
        return None
    try:
        return encapsulated.items(file.data, element)
    except Malformed:
        return None
