"""Whether a condition of Type 1C or 2C holds where an attribute stands. Values are compared, never kept."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Protocol

from consumers.validate.iod.tables import Condition
from streams.elements import Malformed, TooComplex
from streams.nested import Held, Item, Nested
from streams.part10 import Part10

_VALUE_BYTES_MAX = 1024
_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i"}


class Known(Protocol):
    """An item, or what stands for several."""

    def get(self, tag: int, /) -> Held | None: ...


# The item that an attribute stands in is the last scope; the tags are those that belong there.
Scope = tuple[Known, frozenset[int]]
EVERYWHERE: frozenset[int] = frozenset()
SHARED, PER_FRAME = 0x52009229, 0x52009230


class Asking:
    """Answers conditions within one file."""

    def __init__(self, file: Part10, sop_class_uid: str, nested: Nested, top: Item) -> None:
        self._nested = nested
        self._top = top
        self._data = file.data
        self._sign = "<" if file.encoding.byte_order == "little" else ">"
        self._sop_class_uid = sop_class_uid

    def holds(self, condition: Condition, scopes: Sequence[Scope]) -> bool:
        kind, *rest = condition
        return _KINDS[kind](self, rest, scopes)

    def _and(self, parts: list[Any], scopes: Sequence[Scope]) -> bool:
        return all(self.holds(part, scopes) for part in parts)

    def _or(self, parts: list[Any], scopes: Sequence[Scope]) -> bool:
        return any(self.holds(part, scopes) for part in parts)

    def _has(self, parts: list[Any], scopes: Sequence[Scope]) -> bool:
        return _found(parts[0], scopes) is not None

    def _lacks(self, parts: list[Any], scopes: Sequence[Scope]) -> bool:
        return _found(parts[0], scopes) is None

    def _class(self, parts: list[Any], scopes: Sequence[Scope]) -> bool:
        return self._sop_class_uid in parts[0]

    def _not(self, parts: list[Any], scopes: Sequence[Scope]) -> bool:
        return not self.holds(parts[0], scopes)

    def _inside(self, parts: list[Any], scopes: Sequence[Scope]) -> bool:
        """Whether what is asked holds within one of a sequence's items."""
        tag, asked = parts
        held = _found(tag, scopes)
        return held is not None and any(self.holds(asked, ((item, EVERYWHERE),)) for item in self._items(held))

    def _grouped(self, parts: list[Any], scopes: Sequence[Scope]) -> bool:
        return parts[0] in self._in_groups

    @cached_property
    def _in_groups(self) -> frozenset[int]:
        """What there is in functional groups: macros, and what their items have."""
        groups = [group for tag in (SHARED, PER_FRAME) if tag in self._top for group in self._items(self._top[tag])]
        macros = [held for group in groups for held in group.values()]
        inner = {tag for held in macros for item in self._items(held) for tag in item}
        return frozenset(inner.union(*groups))

    def _items(self, held: Held) -> list[Item]:
        """Nothing where it is no sequence; that is said elsewhere."""
        if held.empty:
            return []
        try:
            return self._nested.items(held)
        except (Malformed, TooComplex):
            return []

    def _in(self, parts: list[Any], scopes: Sequence[Scope]) -> bool:
        tag, nth, wanted, vr = parts
        return any(value in wanted for value in self._values(tag, nth, vr, scopes))

    def _other(self, parts: list[Any], scopes: Sequence[Scope]) -> bool:
        tag, nth, unwanted, vr = parts
        values = self._values(tag, nth, vr, scopes)
        return bool(values) and not any(value in unwanted for value in values)

    def _over(self, parts: list[Any], scopes: Sequence[Scope]) -> bool:
        tag, number, vr = parts
        values = self._values(tag, 1, vr, scopes)
        return bool(values) and values[0].isdecimal() and len(values[0]) < 12 and int(values[0]) > number

    def _values(self, tag: int, nth: int, vr: str, scopes: Sequence[Scope]) -> list[str]:
        """Values as text, without padding; the nth alone, counted from 1, or all where that is 0."""
        held = _found(tag, scopes)
        if held is None or held.items is not None or not 0 < held.end - held.at <= _VALUE_BYTES_MAX:
            return []
        value = self._data[held.at : held.end]
        if vr == "AT":
            halves = struct.unpack(f"{self._sign}{len(value) // 4 * 2}H", value[: len(value) // 4 * 4])
            values = [f"{group:04X}{element:04X}" for group, element in zip(halves[::2], halves[1::2], strict=True)]
        elif vr in _BINARY:
            size = struct.calcsize(f"<{_BINARY[vr]}")
            count = len(value) // size
            numbers = struct.unpack(f"{self._sign}{count}{_BINARY[vr]}", value[: count * size])
            values = [str(number) for number in numbers]
        else:
            values = [part.strip("\0 ") for part in value.decode("ascii", "replace").split("\\")]
        return [one for one in (values[nth - 1 : nth] if nth else values) if one]


def _found(tag: int, scopes: Sequence[Scope]) -> Held | None:
    """The nearest that is there, outwards; where it belongs and is not, nothing further out stands for it."""
    for item, tags in reversed(scopes):
        held = item.get(tag)
        if held is not None or tag in tags:
            return held
    return None


_KINDS: dict[str, Callable[[Asking, list[Any], Sequence[Scope]], bool]] = {
    "and": Asking._and,
    "or": Asking._or,
    "has": Asking._has,
    "lacks": Asking._lacks,
    "class": Asking._class,
    "not": Asking._not,
    "in": Asking._in,
    "other": Asking._other,
    "over": Asking._over,
    "inside": Asking._inside,
    "grouped": Asking._grouped,
}
