"""How often somebody else moved a projection's ledger."""

from __future__ import annotations

from collections import deque

from streams.clock import Clock
from streams.stop import Stop

# A zombie writes until the group tells it that it is none, and each time somebody starts again. That does not last.
MOVES_MAX, WINDOW_S = 5, 60.0


class Moves:
    """Fewer than `MOVES_MAX` in any window of `WINDOW_S` seconds: beyond it two write for good."""

    def __init__(self, group: str, clock: Clock) -> None:
        self._group = group
        self._clock = clock
        self._times_s: deque[float] = deque(maxlen=MOVES_MAX)

    def count(self, reason: str) -> None:
        """Raises Stop."""
        now_s = self._clock.monotonic()
        self._times_s.append(now_s)
        if len(self._times_s) == MOVES_MAX and now_s - self._times_s[0] < WINDOW_S:
            raise Stop(
                f"{reason}, {MOVES_MAX} times in {WINDOW_S:g} s: somebody else writes what group {self._group} "
                "writes. Nothing was applied twice. Find out who it is and stop that, then start the service again"
            )
