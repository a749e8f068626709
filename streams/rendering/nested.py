"""The items of a sequence, each as a data set of its own. A sequence that does not hold together has no items."""

from __future__ import annotations

import struct
from functools import cached_property

from streams.elements import (
    ITEM,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Element,
    Encoding,
    Limits,
    Malformed,
    TooComplex,
    Walk,
)
from streams.part10 import Part10

_ITEMS_MAX = 100_000
_DELIMITER_BYTES = 8
_ITEM_LIMITS = Limits(elements=100_000, top_level=5_000, depth=16)


class Items:
    """The items of sequence `tag`. Where each is, is found at the first look; one is read when it is asked for."""

    def __init__(self, file: Part10, tag: int) -> None:
        self._file = file
        self._element = file.elements.get(tag)

    def __len__(self) -> int:
        return len(self._spans)

    def item(self, index: int) -> Part10 | None:
        """Item `index` from 0; None where there is none, or it cannot be read."""
        if not 0 <= index < len(self._spans):
            return None
        start, end = self._spans[index]
        data, encoding = self._file.data[start:end], self._encoding
        walk = Walk(data, encoding, _ITEM_LIMITS)
        try:
            walk.top(0, encoding.explicit)
        except (Malformed, TooComplex):
            return None
        return Part10(data, 0, encoding, self._file.meta, walk.elements, frozenset(walk.oddities))

    @property
    def _encoding(self) -> Encoding:
        # PS3.5 section 6.2.2: a sequence under VR UN is in implicit VR little endian.
        if self._element is not None and self._element.vr == "UN":
            return Encoding(explicit=False)
        return self._file.encoding

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        if self._element is None or self._element.vr not in ("SQ", "UN", ""):
            return []
        try:
            return self._walked(self._element)
        except (Malformed, TooComplex):
            return []

    def _walked(self, element: Element) -> list[tuple[int, int]]:
        encoding, position = self._encoding, element.value_at
        found: list[tuple[int, int]] = []
        head = struct.Struct("<HHI" if encoding.byte_order == "little" else ">HHI")
        walk = Walk(self._file.data, encoding, Limits())
        while position + head.size <= element.end and len(found) < _ITEMS_MAX:
            group, number, length = head.unpack_from(self._file.data, position)
            start = position + head.size
            if group << 16 | number == SEQUENCE_DELIMITER:
                break
            if group << 16 | number != ITEM:
                return []
            if length == UNDEFINED_LENGTH:
                position = walk.item_end(start, encoding.explicit)
                found.append((start, position - _DELIMITER_BYTES))
            else:
                position = start + length
                found.append((start, position))
            if position > element.end:
                return []
        return found


def first(file: Part10, tag: int) -> Part10 | None:
    """The first item of a sequence; None where there is none."""
    return Items(file, tag).item(0)
