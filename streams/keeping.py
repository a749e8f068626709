"""Whether the log keeps how far a group has read. Where it does not for a while, /readyz says so, and what mends it."""

from __future__ import annotations

from typing import Final

from streams.clock import Clock
from streams.health import Health
from streams.log import LogAway

# A coordinator that moves, or loads what it keeps, is back before.
PATIENCE_S: Final = 10.0
_CHECK: Final = "offsets"


class Keeping:
    """Told of each commit by the thread that makes them."""

    def __init__(self, health: Health, clock: Clock) -> None:
        self._health = health
        self._clock = clock
        self._since_s: float | None = None

    def kept(self) -> None:
        """Everything is committed, or nothing is to be."""
        if self._since_s is not None:
            self._since_s = None
            self._health.ready(_CHECK, True)

    def failed(self, error: LogAway) -> None:
        """A broker whose disk was full may refuse one partition of `__consumer_offsets` until it is started again: the
        offset index in its memory is ahead of the file. It answers everything else, so nothing else would say so.
        """
        now_s = self._clock.monotonic()
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s >= PATIENCE_S:
            why = (
                f"the log does not keep how far this service is ({error}), so after a restart it would do that work "
                "again; if the brokers answer otherwise, start the one anew whose log has errors of __consumer_offsets"
            )
            self._health.ready(_CHECK, False, why)
