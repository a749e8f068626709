"""What came of each request, whether it may have, and whether anything was disturbed meanwhile."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

RIGHT, CUT = "right", "cut"
# Longer than the gateway waits for a part that hangs, on a machine that has other things to do.
ANSWER_S_MAX = 180.0
_FINDINGS_MAX = 50


class Refused(Exception):
    """Nothing was given, and why was said."""


class Cut(Exception):
    """Not all of an answer came, and the reader knows."""


class Wrong(Exception):
    """It is not what was sent, or no error that anybody could read."""


@dataclass
class Tally:
    """Written to by all readers. `epoch` is odd while something is disturbed, and until all is well again."""

    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    epoch: int = 0
    checked_bytes: int = 0
    slowest_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def disturbed(self) -> None:
        self.epoch += 1

    def calm(self) -> None:
        self.epoch += 1

    def found(self, what: str) -> None:
        with self.lock:
            if len(self.findings) < _FINDINGS_MAX:
                self.findings.append(what)

    def note(self, kind: str, ask: Callable[[], int]) -> bool:
        """Asks once, and whether it was answered right; `ask` gives how many bytes it compared, or raises."""
        epoch, began_s = self.epoch, time.monotonic()
        try:
            size, outcome = ask(), RIGHT
        except Refused as error:
            size, outcome = 0, str(error)
        except Cut as error:
            size, outcome = 0, CUT
            why = str(error)
        except Wrong as error:
            self.found(f"{kind}: wrong: {error}")
            return False
        took_s = time.monotonic() - began_s
        with self.lock:
            self.outcomes[kind, outcome] += 1
            self.checked_bytes += size
            self.slowest_s = max(self.slowest_s, took_s)
        if took_s > ANSWER_S_MAX:
            self.found(f"{kind}: {outcome} after {took_s:.0f} s")
        if outcome != RIGHT and epoch == self.epoch and not epoch % 2:
            self.found(f"{kind}: {outcome} {why if outcome == CUT else ''} while nothing was disturbed")
        return outcome == RIGHT

    def right(self) -> Counter[str]:
        with self.lock:
            return Counter({kind: count for (kind, outcome), count in self.outcomes.items() if outcome == RIGHT})

    def told(self, what: str) -> int:
        """How often something was refused, or cut, in whose words this is."""
        with self.lock:
            return sum(count for (_, outcome), count in self.outcomes.items() if what in outcome)
