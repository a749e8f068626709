"""The slices that a reader comes to next, read before he asks: who looks at one scrolls."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from gateway.dicomweb.served import Served
from gateway.dicomweb.shown import Shown
from gateway.reading import Reading

_AHEAD: Final = 4
_SERIES_MAX: Final = 1000


class Neighbours:
    """For one event loop. How much is read at once, and held, `Reading` bounds."""

    def __init__(self, shown: Shown, reading: Reading) -> None:
        self._shown, self._reading = shown, reading
        # Where each series was looked at last, and which way it goes.
        self._last: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def shown(self, served: Served, syntax: str) -> None:
        """A frame of `served` is shown, in that transfer syntax."""
        series, place = self._shown.beside(served)
        if len(series) == 1:
            return
        last, way = self._last.pop(served.series_uid, (place - 1, 1))
        way = way if place == last else 1 if place > last else -1
        self._last[served.series_uid] = place, way
        while len(self._last) > _SERIES_MAX:
            self._last.popitem(last=False)
        for step in range(1, _AHEAD + 1):
            if 0 <= place + way * step < len(series):
                self._expect(series[place + way * step], syntax)

    def _expect(self, served: Served, syntax: str) -> None:
        self._reading.expect_whole(served.stored_as(syntax) or served.blob)
