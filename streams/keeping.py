"""Whether the log keeps how far a group has read, and takes a service into its group. Where it does not for a while,
/readyz says so, and what mends it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streams.clock import Clock
from streams.health import Health

# A coordinator that moves, or loads what it keeps, is back before.
PATIENCE_S: Final = 10.0


@dataclass(frozen=True)
class Want:
    """What a service wants of its group: the name of the check, and what it says with the log's answer in between."""

    check: str
    missing: str
    so: str


OFFSETS: Final = Want(
    "offsets",
    "the log does not keep how far this service is",
    "so after a restart it would do that work again",
)
GROUP: Final = Want(
    "group",
    "the log does not take this service into its consumer group",
    "so it reads nothing",
)


class Keeping:
    """Told by one thread each time that it has what it wants, or has not.

    A broker whose disk was full may refuse one partition of `__consumer_offsets` until it is started again: the offset
    index in its memory is ahead of the file. It answers everything else, so nothing else would say so.
    """

    def __init__(self, health: Health, clock: Clock, want: Want = OFFSETS) -> None:
        self._health = health
        self._clock = clock
        self._want = want
        self._since_s: float | None = None

    def kept(self) -> None:
        """Also where nothing is wanted now."""
        if self._since_s is not None:
            self._since_s = None
            self._health.ready(self._want.check, True)

    def failed(self, error: Exception) -> None:
        now_s = self._clock.monotonic()
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s >= PATIENCE_S:
            why = (
                f"{self._want.missing} ({error}), {self._want.so}; if the brokers answer otherwise, start the one anew "
                "whose log has errors of __consumer_offsets"
            )
            self._health.ready(self._want.check, False, why)
