"""Places of connections that were closed before they asked for an association."""

from __future__ import annotations

import threading
import time
from heapq import heappop, heappush
from itertools import count

from streams.admission import Place


class Left:
    """Used from the threads of all connections. `set_up_timeout_s` is how long a connection may be no association."""

    def __init__(self, set_up_timeout_s: float) -> None:
        self._set_up_timeout_s = set_up_timeout_s
        self._lock = threading.Lock()
        # A heap: when it had come, and whose place it is.
        self._left: list[tuple[float, int, Place]] = []
        self._numbers = count()

    def add(self, place: Place, begun_s: float) -> None:
        """Is free for others; among those of its address it counts for as long as it might have taken, since a flood of
        such connections would cost more than their places.
        """
        place.yield_to_others()
        with self._lock:
            heappush(self._left, (begun_s, next(self._numbers), place))

    def let_go(self) -> None:
        """Those whose time is over count no more."""
        since_s = time.monotonic() - self._set_up_timeout_s
        with self._lock:
            while self._left and self._left[0][0] < since_s:
                heappop(self._left)[-1].leave()
