"""Records a second, in and out, over a window that slides; and when what waits will be done."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

WINDOW_S = 60.0


class Counted(NamedTuple):
    """Records since the beginning: `written` for a group in a lane, and `settled` by it."""

    written: int
    settled: int


class Rates(NamedTuple):
    """Records a second."""

    in_per_s: float
    out_per_s: float


Place = tuple[str, str]
"""Group and lane."""


class Pace:
    """Told what is counted again and again; compares the last with the oldest within the window."""

    def __init__(self, window_s: float = WINDOW_S) -> None:
        self._window_s = window_s
        self._told: deque[tuple[float, Mapping[Place, Counted]]] = deque()

    def tell(self, at_s: float, counted: Mapping[Place, Counted]) -> None:
        """`at_s` never goes back. One measurement older than the window is kept, so that a slow watcher has rates."""
        self._told.append((at_s, counted))
        while len(self._told) > 2 and at_s - self._told[1][0] >= self._window_s:
            self._told.popleft()

    def rates(self, place: Place) -> Rates | None:
        """None before the second measurement. A group that was set back has settled nothing."""
        if len(self._told) < 2:
            return None
        (then_s, then), (now_s, now) = self._told[0], self._told[-1]
        if now_s <= then_s or place not in then:
            return None
        passed_s = now_s - then_s
        return Rates(
            max(now[place].written - then[place].written, 0) / passed_s,
            max(now[place].settled - then[place].settled, 0) / passed_s,
        )


def catch_up_s(lag: int, rates: Rates | None) -> float | None:
    """Seconds until nothing waits, if both rates stay; None where they never get there, or are not known."""
    if lag == 0:
        return 0.0
    if rates is None or rates.out_per_s <= rates.in_per_s:
        return None
    return lag / (rates.out_per_s - rates.in_per_s)
