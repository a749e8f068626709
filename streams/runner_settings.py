"""What can be set of a runner."""

from __future__ import annotations

from streams.backoff import Backoff
from streams.config import Section


class RunnerSettings(Section, frozen=True, kw_only=True):
    """Times in seconds. `in_flight_max` is of one partition; `deadline_s` bounds a revoke and a SIGTERM.

    `acknowledged_s`: where the log takes nothing for so long that is next, what it has not acknowledged is given up and
    done again: longer than a broker's restart.
    """

    threads: int = 4
    batch_max: int = 8
    in_flight_max: int = 256
    deadline_s: float = 20.0
    acknowledged_s: float = 30.0
    dead_letters_max: int = 100
    dead_letters_window_s: float = 600.0
    attempts_max: int = 12
    world_wait_s: float = 0.5
    world_wait_s_max: float = 30.0
    park_wait_s: float = 5.0
    park_wait_s_max: float = 300.0

    @property
    def world_backoff(self) -> Backoff:
        return Backoff(self.world_wait_s, self.world_wait_s_max)

    @property
    def park_backoff(self) -> Backoff:
        return Backoff(self.park_wait_s, self.park_wait_s_max)
