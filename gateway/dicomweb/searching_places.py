"""Where pages ended, so that the next one begins there, and nothing before it is read again."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.dicomweb.searching_query import Path, Query
from gateway.dicomweb.searching_sql import Key, Scope

_REMEMBERED_MAX: Final = 4096
# A list that was left alone for longer is counted from its beginning, which has moved on since.
_FRESH_S: Final = 300.0

Asked = tuple[Scope, Query]
_Name = tuple[Scope, bool, tuple[tuple[Path, str], ...]]


@dataclass(frozen=True)
class Place:
    """Begin behind `after`, or at the beginning, and skip so many."""

    skip: int
    after: Key | None = None


class Places:
    """Used in one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ends: OrderedDict[tuple[_Name, int], tuple[float, Key]] = OrderedDict()

    def place(self, asked: Asked, offset: int) -> Place:
        found = self._ends.get((_name(asked), offset))
        if found is None or self._clock() - found[0] > _FRESH_S:
            return Place(offset)
        return Place(0, found[1])

    def remember(self, asked: Asked, offset: int, key: Key) -> None:
        """`key` is of the last of `offset` results."""
        name = (_name(asked), offset)
        self._ends[name] = (self._clock(), key)
        self._ends.move_to_end(name)
        while len(self._ends) > _REMEMBERED_MAX:
            self._ends.popitem(last=False)


def _name(asked: Asked) -> _Name:
    """Of what decides on the rows: the same search with other attributes or another page has the same places."""
    scope, query = asked
    return scope, query.fuzzy, tuple(sorted(query.match.items()))
