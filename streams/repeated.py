"""Lines of a log that come again and again: said once, then once in a while, with how many were not said.

A part that is away for a weekend is not to fill the disk that the spool needs.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Final

from streams.clock import Clock, SystemClock

EVERY_S: Final = 30.0
# Of different lines; beyond, the one said longest ago is forgotten, and said anew when it comes again.
KEPT_MAX: Final = 256


@dataclass
class _Said:
    at_s: float
    suppressed: int = 0


class Repeated:
    """Safe for several threads."""

    def __init__(self, clock: Clock | None = None, every_s: float = EVERY_S, kept_max: int = KEPT_MAX) -> None:
        self._clock = clock or SystemClock()
        self._every_s, self._kept_max = every_s, kept_max
        self._lock = threading.Lock()
        self._said: OrderedDict[Hashable, _Said] = OrderedDict()

    def due(self, *line: Hashable) -> Mapping[str, float] | None:
        """What to say beside the line; None where it was said less than `every_s` ago.

        `line` is what makes two lines the same. Beside one that comes again, `suppressed` is how many were not said in
        the `since_s` seconds since it was said last.
        """
        with self._lock:
            now_s = self._clock.monotonic()
            before = self._said.get(line)
            if before is not None and now_s - before.at_s < self._every_s:
                before.suppressed += 1
                return None
            self._said[line] = _Said(now_s)
            self._said.move_to_end(line)
            if len(self._said) > self._kept_max:
                self._said.popitem(last=False)
        if before is None or not before.suppressed:
            return {}
        return {"suppressed": before.suppressed, "since_s": round(now_s - before.at_s, 1)}
