"""When the next study may be asked for: so many a minute, and at night alone where a site wants that."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from streams.clock import Clock

# A pause is looked at anew this often: clocks are set, and summer time begins.
_PAUSE_S_MAX = 60.0


@dataclass(frozen=True)
class Night:
    """From `begin` to `end` in the machine's own time zone, over midnight where `end` is the earlier."""

    begin: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Night:
        """`20:00-06:00`. Raises ValueError."""
        begin, _, end = text.partition("-")
        night = cls(time.fromisoformat(begin.strip()), time.fromisoformat(end.strip()))
        if night.begin == night.end:
            raise ValueError("a night that ends when it begins")
        return night

    def seconds_until(self, now: datetime) -> float:
        """0 within the night."""
        at = now.time()
        inside = self.begin <= at < self.end if self.begin < self.end else at >= self.begin or at < self.end
        if inside:
            return 0.0
        begins = datetime.combine(now.date(), self.begin, now.tzinfo)
        return (begins + timedelta(days=at >= self.begin) - now).total_seconds()


class Pace:
    """Used from one thread. `say` is told, once, that a night is waited for."""

    def __init__(
        self,
        clock: Clock,
        per_minute: float | None = None,
        night: Night | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._clock = clock
        self._interval_s = 60.0 / per_minute if per_minute else 0.0
        self._night = night
        self._say = say
        self._next = 0.0

    def wait(self, stopping: threading.Event) -> bool:
        """Returns when the next study may begin; False where the run is to stop."""
        said = False
        while not stopping.is_set():
            now = self._clock.now().astimezone()
            closed_s = self._night.seconds_until(now) if self._night else 0.0
            pause_s = max(closed_s, self._next - self._clock.monotonic())
            if pause_s <= 0:
                self._next = self._clock.monotonic() + self._interval_s
                return True
            if closed_s > 0 and not said and self._night:
                self._say(f"waiting until {self._night.begin:%H:%M}")
                said = True
            stopping.wait(min(pause_s, _PAUSE_S_MAX))
        return False
