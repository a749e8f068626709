"""Items of sequences, read when they are asked for, within limits (PS3.5 section 7.5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

from streams.elements import (
    ITEM,
    ITEM_DELIMITER,
    PIXEL_DATA_TAGS,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Element,
    Limits,
    Malformed,
    TooComplex,
    Walk,
)
from streams.part10 import Part10

_DELIMITER_BYTES = 8
Item: TypeAlias = "Mapping[int, Held]"


class Held(NamedTuple):
    """An element somewhere in a data set: its value's bytes are from `at` to `end`.

    `explicit` is how a sequence's items are written; `items` are those of a sequence of undefined length, which has to
    be read to find its end; `undefined` is a sequence of undefined length that was not read yet.
    """

    at: int
    end: int
    explicit: bool
    items: list[Item] | None = None
    undefined: bool = False

    @property
    def empty(self) -> bool:
        return not self.items if self.items is not None else self.end == self.at


class Nested(Walk):
    """The items of one file's sequences. `limits.elements` is for all of them together."""

    def __init__(self, file: Part10, limits: Limits) -> None:
        super().__init__(file.data, file.encoding, limits)
        self._explicit = file.encoding.explicit
        self._read: dict[int, list[Item]] = {}

    def top_level(self, elements: Mapping[int, Element]) -> Item:
        return {tag: self._held(one) for tag, one in elements.items()}

    def _held(self, one: Element) -> Held:
        # Of a sequence that ends where it begins, the delimiter is all there is.
        empty = one.undefined_length and one.length == _DELIMITER_BYTES
        end = one.value_at if empty else one.end
        return Held(one.value_at, end, self._explicit and one.vr != "UN", None, one.undefined_length)

    def items(self, held: Held) -> list[Item]:
        """The items of a sequence. Raises Malformed where it is none, TooComplex where a limit is met."""
        if held.items is not None:
            return held.items
        if held.at not in self._read:
            self._read[held.at], _ = self._sequence(held.at, held.end, held.explicit, 1, delimited=held.undefined)
        return self._read[held.at]

    def _sequence(
        self, position: int, end: int, explicit: bool, depth: int, *, delimited: bool
    ) -> tuple[list[Item], int]:
        """The items from `position` on, and the byte after the sequence."""
        if depth > self._limits.depth:
            raise TooComplex(f"Sequences are nested more than {self._limits.depth} deep.", "depth")
        found: list[Item] = []
        while position < end:
            tag, _, at, length = self._head(position, end, False)
            if tag == SEQUENCE_DELIMITER and delimited:
                return found, at
            if tag != ITEM:
                raise Malformed("structure", "Something other than an item stands in a sequence.")
            known = length != UNDEFINED_LENGTH
            if known and at + length > end:
                raise self._short(end, "An item is longer than its sequence.")
            item, position = self._elements(at, at + length if known else end, explicit, depth, delimited=not known)
            found.append(item)
        if delimited:
            raise self._short(end, "A sequence does not end.")
        return found, position

    def _elements(self, position: int, end: int, explicit: bool, depth: int, *, delimited: bool) -> tuple[Item, int]:
        item: dict[int, Held] = {}
        while position < end:
            tag, vr, at, length = self._head(position, end, explicit)
            if tag == ITEM_DELIMITER and delimited:
                return item, at
            if tag >> 16 == 0xFFFE:
                raise Malformed("structure", "A delimiter stands where an element should.")
            inner = explicit and vr != b"UN"
            if length != UNDEFINED_LENGTH:
                position = at + length
                if position > end:
                    raise self._short(end, "An element is longer than what holds it.")
                item.setdefault(tag, Held(at, position, inner))
            elif vr in (b"OB", b"OW") or tag in PIXEL_DATA_TAGS:
                position, _ = self._fragments(at, end, cut_allowed=False)
                item.setdefault(tag, Held(at, position, inner))
            else:
                items, position = self._sequence(at, end, inner, depth + 1, delimited=True)
                item.setdefault(tag, Held(at, position, inner, items))
        if delimited:
            raise self._short(end, "An item does not end.")
        return item, position
