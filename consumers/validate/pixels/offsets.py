"""Do the offset tables point at the fragments that begin frames? (PS3.5 annex A.4, PS3.3 section C.7.6.3.1.8)"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from consumers.validate.pixels.lengths import shape
from consumers.validate.rule import Broken, Rule
from streams.encapsulated import Encapsulated
from streams.part10 import Part10
from streams.pixels.image import VIDEO

EXTENDED_TABLE, EXTENDED_LENGTHS = 0x7FE00001, 0x7FE00002

RULES = {
    "offset_table": Rule(
        "warning", "PS3.5 A.4", "The offset table does not point at the fragments that begin frames.", "7FE0,0010"
    ),
    "offset_table_extended": Rule(
        "warning",
        "PS3.3 C.7.6.3.1.8",
        "The extended offset table does not point at frames of one fragment each, or comes with another table.",
        "7FE0,0001",
    ),
}

_ENTRY: Final = 8


def check(file: Part10, found: Encapsulated | None) -> Iterator[Broken]:
    """Names of the rules that are broken. A table is read only where it has an entry for each frame that is there."""
    has_extended = EXTENDED_TABLE in file.elements or EXTENDED_LENGTHS in file.elements
    if found is None:
        if has_extended:
            yield "offset_table_extended", None
        return
    frames = shape(file).frames
    is_video = file.transfer_syntax_uid.startswith(VIDEO)
    if len(found.table) and not is_video and not _in_order(found, found.table, frames):
        yield "offset_table", None
    if has_extended and not (_is_extended(file, found, frames) and not len(found.table)):
        yield "offset_table_extended", None


def _in_order(found: Encapsulated, table: Sequence[int], frames: int) -> bool:
    """Whether a table has one entry for each frame, ascending, each the start of a fragment, from the first on."""
    if len(table) != frames or frames > len(found.fragments) or table[0] != 0:
        return False
    return all(one < another for one, another in pairwise(table)) and all(
        found.fragments.index_at(offset) is not None for offset in table
    )


def _is_extended(file: Part10, found: Encapsulated, frames: int) -> bool:
    """Both tables, an entry of 64 bits for each frame, each of whose frames lies in the one fragment it is said to."""
    tables = [file.elements.get(tag) for tag in (EXTENDED_TABLE, EXTENDED_LENGTHS)]
    if frames != len(found.fragments):
        return False
    values = [file.value(one) for one in tables if one is not None and one.length == frames * _ENTRY]
    if len(values) < len(tables):
        return False
    table, lengths = (struct.unpack(f"<{frames}Q", value) for value in values)
    # A fragment has an even length; a frame need not.
    return _in_order(found, table, frames) and all(
        fragment.length - 1 <= length <= fragment.length
        for fragment, length in zip(found.fragments, lengths, strict=True)
    )
