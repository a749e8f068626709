"""Where something is missing. What is so in many items is said once, with how many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consumers.validate.iod import rules
from streams.events import Finding

# Title, section and entity of a module or macro.
Named = tuple[str, str, str]
# Tags and numbers of items, from 1, in turn.
Path = tuple[int, ...]


@dataclass
class _Place:
    """The first of places that differ only in their items' numbers."""

    rule: str
    tag: int
    path: Path
    module: Named
    also: int = 0


class Places:
    """What was found in one file, in the order in which it was."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, Path], _Place] = {}

    def say(self, rule: str, tag: int, path: Path, named: Named) -> None:
        """`path` leads to the item that the attribute of `tag` should be in; it is empty at the top level."""
        place = (rule, (*path[::2], tag))
        if place in self._places:
            self._places[place].also += 1
        else:
            self._places[place] = _Place(rule, tag, (*path, tag), named)

    def findings(self) -> Iterator[Finding]:
        for place in self._places.values():
            yield rules.said(place.rule, place.tag, _written(place.path), place.module, place.also)


def _written(path: Path) -> str:
    """As `0040,A730[2]/0040,A168`."""
    parts: list[str] = []
    for at in range(0, len(path), 2):
        tag = path[at]
        number = f"[{path[at + 1]}]" if at + 1 < len(path) else ""
        parts.append(f"{tag >> 16:04X},{tag & 0xFFFF:04X}{number}")
    return "/".join(parts)
