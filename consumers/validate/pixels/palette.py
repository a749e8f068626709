"""Are the colours of a palette there, and are they as many as it says? (PS3.3 sections C.7.6.3.1.5 and C.7.9)"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from consumers.validate.rule import Broken, Rule
from streams.part10 import Part10
from streams.pixels.image import PHOTOMETRIC

RULES = {
    "palette_missing": Rule(
        "error", "PS3.3 C.7.6.3.1.5", "The pixels are numbers of colours, and there are no such colours."
    ),
    "palette_descriptor": Rule(
        "error", "PS3.3 C.7.6.3.1.5", "The description of the palette is not three numbers that can be."
    ),
    "palette_length": Rule("error", "PS3.3 C.7.6.3.1.6", "The palette has fewer colours than its description says."),
}

# Descriptor, table and segmented table of red, green and blue.
_CHANNELS: Final = tuple((0x00281100 + n, 0x00281200 + n, 0x00281220 + n) for n in (1, 2, 3))


def check(file: Part10) -> Iterator[Broken]:
    """Names of the rules that are broken, with the tag of the first of three that breaks each."""
    if file.text(PHOTOMETRIC) != "PALETTE COLOR":
        return
    for descriptor, table, segmented in _CHANNELS:
        if broken := _channel(file, descriptor, table, segmented):
            yield broken
            return


def _channel(file: Part10, descriptor: int, table: int, segmented: int) -> Broken | None:
    if descriptor not in file.elements:
        return "palette_missing", descriptor
    if table not in file.elements and segmented not in file.elements:
        return "palette_missing", table
    head = file.elements[descriptor]
    if head.length != 6:
        return "palette_descriptor", descriptor
    sign = "<" if file.encoding.byte_order == "little" else ">"
    count, _, bits = struct.unpack(f"{sign}3H", file.value(head))
    if bits not in (8, 16):
        return "palette_descriptor", descriptor
    # 65,536 does not fit and is written as 0. What is segmented is as long as its colours are regular.
    if table in file.elements and file.elements[table].length < (count or 1 << 16) * (bits // 8):
        return "palette_length", table
    return None
