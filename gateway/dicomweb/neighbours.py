"""The slices that a reader comes to next, read before he asks: who looks at one scrolls."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from gateway.dicomweb.served import Served
from gateway.dicomweb.shown import Shown
from gateway.reading import Reading

# Who scrolls fast leaves some out, and of requests that are under way at once any may be answered first.
_STEP_MAX: Final = 4
_AHEAD: Final = 4
_SERIES_MAX: Final = 1000


@dataclass(frozen=True)
class _Look:
    """Where a series was looked at, which way it goes, in which transfer syntax; `is_known`, as a step was seen."""

    place: int
    way: int
    is_known: bool
    syntax: str = ""

    @property
    def ahead(self) -> int:
        """How many slices. A jump says little of where one goes from there: four reads would be for nothing."""
        return _AHEAD if self.is_known else 1


class Neighbours:
    """For one event loop. How much is read at once, and held, `Reading` bounds."""

    def __init__(self, shown: Shown, reading: Reading) -> None:
        self._shown, self._reading = shown, reading
        self._last: OrderedDict[str, _Look] = OrderedDict()

    def shown(self, served: Served, syntax: str) -> None:
        """A frame of `served` was shown, in that transfer syntax."""
        series, place = self._shown.beside(served)
        if len(series) == 1:
            return
        look = replace(_next(self._last.pop(served.series_uid, None), place), syntax=syntax)
        self._last[served.series_uid] = look
        while len(self._last) > _SERIES_MAX:
            self._last.popitem(last=False)
        for step in range(1, look.ahead + 1):
            if 0 <= (next_one := place + look.way * step) < len(series):
                self._expect(series[next_one], syntax)

    def asked(self, served: Served) -> None:
        """A frame is asked for: where others of its series were shown, its bytes are read while the catalog says
        whether it may be shown still. Who is told no is given none of them."""
        if (last := self._last.get(served.series_uid)) is not None:
            self._expect(served, last.syntax)

    def _expect(self, served: Served, syntax: str) -> None:
        self._reading.expect_whole(served.stored_as(syntax) or served.blob)


def _next(last: _Look | None, place: int) -> _Look:
    if last is None:
        # Who begins at the first slice goes through them all.
        return _Look(place, 1, is_known=place == 0)
    if place == last.place:
        return last
    return _Look(place, 1 if place > last.place else -1, is_known=abs(place - last.place) <= _STEP_MAX)
