"""One look at lag after another, whatever the broker does."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from radstream.lag_windows import Window, windows_of
from radstream.options import open_log
from radstream.spool import SpoolState
from radstream.spool import look as spool_look
from streams.clock import Clock, SystemClock
from streams.config import Config
from streams.lagging.figures import LaneLag
from streams.lagging.meter import Meter
from streams.log import LogAway, LogRefused


@dataclass(frozen=True)
class Look:
    """One measurement, what hurts most first. `away` says why there is none; `lanes` are then those of before.

    `measured_at` is of when `lanes` are; None before the first answer. `windows` is None where the service `windows`
    does not answer, `spool` where none can be seen from here.
    """

    at: datetime
    measured_at: datetime | None
    away: str | None
    lag: int
    oldest_age_s: float | None
    lanes: Sequence[LaneLag]
    windows: Sequence[Window] | None
    spool: SpoolState | None


@dataclass
class Watch:
    """What is watched, and what was seen last."""

    config: Config
    meter: Meter
    interval_s: float
    clock: Clock
    last: Look | None = None

    @staticmethod
    def of(config: Config, groups: Collection[str], interval_s: float) -> Watch:
        clock = SystemClock()
        return Watch(config, Meter(open_log(config), groups, clock), interval_s, clock)

    def look(self) -> Look:
        """Measures once. A broker that is away, or refuses, is part of the answer."""
        windows, spooled = windows_of(self.config), spool_look(self.config)
        beside = (windows, spooled.state if spooled else None)
        try:
            found = self.meter.read()
        except (LogAway, LogRefused) as error:
            before = self.last or Look(self.clock.now(), None, None, 0, None, (), None, None)
            kept = (before.lag, before.oldest_age_s, before.lanes)
            self.last = Look(self.clock.now(), before.measured_at, str(error), *kept, *beside)
        else:
            lanes = hurting_first([lane for group in found.groups for lane in group.lanes])
            at = found.measured_at
            self.last = Look(at, at, None, found.lag, found.oldest_age_s, lanes, *beside)
        return self.last

    def looks(self) -> Iterator[Look]:
        """A look each interval, for ever; the time that a look takes is part of the interval."""
        while True:
            began_s = self.clock.monotonic()
            yield self.look()
            time.sleep(max(began_s + self.interval_s - self.clock.monotonic(), 0.0))


def hurting_first(lanes: Sequence[LaneLag]) -> list[LaneLag]:
    """Who waits longest hurts most, then who has most to do; of the rest, who is busiest."""
    return sorted(lanes, key=lambda one: (-(one.oldest_age_s or 0.0), -one.lag, -(one.out_per_s or 0.0)))
