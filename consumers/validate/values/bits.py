"""How many bits a sample has, and where they stand: do the attributes agree? (PS3.3 section C.7.6.3.1, PS3.5 8.1.1)"""

from __future__ import annotations

from collections.abc import Iterator

from consumers.validate.rule import Broken
from streams.elements import PIXEL_DATA
from streams.part10 import Part10

ALLOCATED, STORED, HIGH = 0x00280100, 0x00280101, 0x00280102


def check(file: Part10) -> Iterator[Broken]:
    """Of integer pixel data; where an attribute is absent or no number, that is another finding's."""
    if PIXEL_DATA not in file.elements:
        return
    allocated, stored, high = (file.unsigned(tag) for tag in (ALLOCATED, STORED, HIGH))
    if allocated and allocated != 1 and allocated % 8:
        yield "bits_allocated", ALLOCATED
    if allocated and stored is not None and not 0 < stored <= allocated:
        yield "bits_stored", STORED
    if stored and high is not None and high != stored - 1:
        yield "high_bit", HIGH
