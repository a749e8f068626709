"""Every element of a data set, nested ones too, with where it stands (PS3.5 section 7.5).

The walk of `streams.elements` indexes the top level and shows that explicit VR sequences hold together. Here their
items are gone through again, and those of implicit VR, whose lengths nobody has looked at yet: there a dictionary says
what is a sequence. Nothing is trusted: what does not hold together ends its sequence, and there is a ceiling for
elements.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from consumers.validate.values.scope import Scope
from streams.elements import (
    ITEM,
    ITEM_DELIMITER,
    PIXEL_DATA_TAGS,
    SEQUENCE_DELIMITER,
    SHORT_VRS,
    UNDEFINED_LENGTH,
)
from streams.part10 import Part10

ELEMENTS_MAX = 100_000
DEPTH_MAX = 64


class DoesNotHold(Exception):
    """A sequence ends where it should not, or something other than an item stands in it."""


class TooMany(Exception):
    """A ceiling was met: of elements, or of what is looked at in them."""


# What is called with each element: tag, VR (empty where the data set does not say one), begin and end of its value.
Look = Callable[[int, str, int, int, Scope], None]


class Walking:
    """One walk. `look` is called with every element, sequences too, `broken` with each sequence that ends badly."""

    def __init__(
        self,
        file: Part10,
        look: Look,
        broken: Callable[[int, Scope], None],
        is_sequence: Callable[[int], bool],
    ) -> None:
        self._file, self._data = file, file.data
        self._look, self._broken, self._is_sequence = look, broken, is_sequence
        self._left = ELEMENTS_MAX
        sign = "<" if file.encoding.byte_order == "little" else ">"
        self._tag = struct.Struct(f"{sign}HH").unpack_from
        self._long = struct.Struct(f"{sign}I").unpack_from
        self._explicit = struct.Struct(f"{sign}HH2sH").unpack_from
        self._implicit = struct.Struct(f"{sign}HHI").unpack_from

    def top(self) -> None:
        """Goes through the whole file. Raises TooMany."""
        scope, explicit = Scope(), self._file.encoding.explicit
        for tag, element in sorted(self._file.elements.items()):
            self._count()
            if tag in PIXEL_DATA_TAGS and (element.undefined_length or element.truncated):
                self._look(tag, element.vr, element.value_at, element.value_at, scope)
                continue
            vr = element.vr
            length = UNDEFINED_LENGTH if element.undefined_length else element.length
            try:
                self._element(tag, vr, element.value_at, length, element.end, explicit, scope, 0)
            except DoesNotHold:
                self._broken(tag, scope)

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise TooMany

    def _element(
        self, tag: int, vr: str, value_at: int, length: int, end: int, explicit: bool, scope: Scope, depth: int
    ) -> int:
        """Looks at one element that may reach to `end`; the byte after it. Raises DoesNotHold, TooMany."""
        if length == UNDEFINED_LENGTH:
            self._look(tag, vr if vr not in ("", "UN") else "SQ", value_at, value_at, scope)
            if vr in ("OB", "OW") or tag in PIXEL_DATA_TAGS:
                return self._fragments(value_at, end)
            # PS3.5 section 6.2.2: what has VR UN and undefined length is in implicit VR little endian.
            return self._sequence(tag, value_at, end, explicit and vr != "UN", scope, depth, delimited=True)
        after = value_at + length
        if after > end:
            raise DoesNotHold
        if vr == "SQ" or (vr in ("", "UN") and self._is_sequence(tag)):
            self._look(tag, "SQ", value_at, value_at, scope)
            self._sequence(tag, value_at, after, explicit and vr == "SQ", scope, depth, delimited=False)
        else:
            self._look(tag, vr, value_at, after, scope)
        return after

    def _sequence(
        self, tag: int, position: int, end: int, explicit: bool, scope: Scope, depth: int, *, delimited: bool
    ) -> int:
        """The byte after a sequence; `end` where it does not hold together, which is said once."""
        if depth >= DEPTH_MAX:
            raise TooMany
        try:
            return self._items(tag, position, end, explicit, scope, depth, delimited=delimited)
        except DoesNotHold:
            # Where an undelimited one ends is not known, so neither is the end of what holds it.
            if delimited and depth:
                raise
            self._broken(tag, scope)
            return end

    def _items(
        self, tag: int, position: int, end: int, explicit: bool, scope: Scope, depth: int, *, delimited: bool
    ) -> int:
        number = 0
        while position < end:
            if position + 8 > end:
                raise DoesNotHold
            group, element, length = self._implicit(self._data, position)
            position += 8
            if group << 16 | element == SEQUENCE_DELIMITER and delimited:
                return position
            if group << 16 | element != ITEM:
                raise DoesNotHold
            number += 1
            self._count()
            open_ended = length == UNDEFINED_LENGTH
            if not open_ended and position + length > end:
                raise DoesNotHold
            item = Scope((scope, tag, number), scope.repertoire)
            until = end if open_ended else position + length
            position = self._item(position, until, explicit, item, depth, open_ended)
        if delimited:
            raise DoesNotHold
        return position

    def _item(self, position: int, end: int, explicit: bool, scope: Scope, depth: int, delimited: bool) -> int:
        while position < end:
            self._count()
            if position + 8 > end:
                raise DoesNotHold
            tag, vr, value_at, length = self._head(position, end, explicit)
            if tag == ITEM_DELIMITER and delimited:
                return value_at
            if tag >> 16 == 0xFFFE:
                raise DoesNotHold
            position = self._element(tag, vr, value_at, length, end, explicit, scope, depth + 1)
        if delimited:
            raise DoesNotHold
        return position

    def _head(self, position: int, end: int, explicit: bool) -> tuple[int, str, int, int]:
        if not explicit:
            group, element, length = self._implicit(self._data, position)
            return group << 16 | element, "", position + 8, length
        group, element, vr, length = self._explicit(self._data, position)
        tag = group << 16 | element
        if vr in SHORT_VRS:
            return tag, vr.decode("ascii"), position + 8, length
        if group == 0xFFFE or not (vr.isalpha() and vr.isupper()):
            return tag, "", position + 8, self._long(self._data, position + 4)[0]
        if position + 12 > end:
            raise DoesNotHold
        return tag, vr.decode("ascii"), position + 12, self._long(self._data, position + 8)[0]

    def _fragments(self, position: int, end: int) -> int:
        while position + 8 <= end:
            group, element, length = self._implicit(self._data, position)
            position += 8
            if group << 16 | element == SEQUENCE_DELIMITER:
                return position
            if group << 16 | element != ITEM or length == UNDEFINED_LENGTH:
                break
            self._count()
            position += length
        raise DoesNotHold
