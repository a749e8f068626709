"""The functional groups of one image (PS3.3 section C.7.6.16): shared ones, and those of each frame."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from consumers.validate.iod.asking import EVERYWHERE, Scope
from streams.elements import Malformed, TooComplex
from streams.nested import Held, Item, Nested


class Groups:
    """`frames` has one group for each frame; `scopes` are where conditions look things up for one of them."""

    def __init__(self, nested: Nested, shared: Item, frames: list[Item], outer: tuple[Scope, ...]) -> None:
        self.shared = shared
        self.frames = frames
        self._nested = nested
        self._outer = outer
        self.scopes = lru_cache(maxsize=2)(self._scopes)

    def _scopes(self, number: int) -> tuple[Scope, ...]:
        """Of the frame of a number, from 1: conditions of one macro speak of attributes of another."""
        groups = (self.shared, *self.frames[number - 1 : number])
        found: dict[int, Held] = {}
        for group in groups:
            found |= group
            for held in group.values():
                found |= self._first(held)
        return (*self._outer, (found, EVERYWHERE))

    def _first(self, held: Held) -> Mapping[int, Held]:
        """The first item of a sequence; nothing where it is none."""
        try:
            items = self._nested.items(held)
        except (Malformed, TooComplex):
            return {}
        return items[0] if items else {}
