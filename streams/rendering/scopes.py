"""Where an attribute of a frame is looked for: its functional group, the shared one, the data set (PS3.3 C.7.6.16)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from streams.part10 import Part10
from streams.rendering.nested import Items, first

SHARED, PER_FRAME = 0x52009229, 0x52009230


class Scopes:
    def __init__(self, file: Part10) -> None:
        self.file = file

    @cached_property
    def _per_frame(self) -> Items:
        return Items(self.file, PER_FRAME)

    @cached_property
    def _shared(self) -> Part10 | None:
        return first(self.file, SHARED)

    def of(self, frame: int, macro: int) -> Iterator[Part10]:
        """Data sets that may say it, the most special first. `macro` is the sequence of its functional group macro."""
        if PER_FRAME in self.file.elements or SHARED in self.file.elements:
            for group in (self._per_frame.item(frame), self._shared):
                if group is not None and (found := first(group, macro)) is not None:
                    yield found
        yield self.file
