"""The functional groups of one image (PS3.3 section C.7.6.16): shared ones, and those of each frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from consumers.validate.iod.asking import EVERYWHERE, Scope
from streams.elements import Malformed, TooComplex
from streams.nested import Held, Item, Nested


class Frame:
    """What the macros of one frame have between them: conditions of one macro speak of attributes of another.

    Put together when a condition asks for the first time.
    """

    def __init__(self, nested: Nested, *groups: Item) -> None:
        self._nested = nested
        self._groups = groups
        self._found: dict[int, Held] | None = None

    def get(self, tag: int) -> Held | None:
        if self._found is None:
            self._found = {}
            for group in self._groups:
                self._found |= group
                for held in group.values():
                    self._found |= self._first(held)
        return self._found.get(tag)

    def _first(self, held: Held) -> Item:
        """The first item of a sequence; nothing where it is none."""
        try:
            items = self._nested.items(held)
        except (Malformed, TooComplex):
            return {}
        return items[0] if items else {}


@dataclass(frozen=True)
class Groups:
    """`frames` has one group for each frame."""

    nested: Nested
    shared: Item
    frames: list[Item]
    outer: tuple[Scope, ...]

    @cached_property
    def frames_with(self) -> dict[int, list[int]]:
        """Of each sequence the numbers of the frames that have it, from 1, in order."""
        found: dict[int, list[int]] = {}
        for number, frame in enumerate(self.frames, 1):
            for tag in frame:
                found.setdefault(tag, []).append(number)
        return found

    def scopes(self, number: int) -> tuple[Scope, ...]:
        """Where conditions of the frame of a number, from 1, look things up."""
        return (*self.outer, (Frame(self.nested, self.shared, *self.frames[number - 1 : number]), EVERYWHERE))
