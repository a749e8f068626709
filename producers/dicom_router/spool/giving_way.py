"""Who comes first where a site chose that the spool answers its senders: they, and the drain behind them."""

from __future__ import annotations

from typing import Final

from streams.clock import Clock

# Senders come and go: so long after the last one, everything is the drain's again.
_QUIET_S: Final = 0.5
# What waits is a promise of one node's disk. When it is so much, it is not made to wait any longer.
_BACKLOG_BYTES_MAX: Final = 1 << 30


class GivingWay:
    """`sender_waits` and `has_no_room` are told from the threads of all associations at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at: float | None = None

    def sender_waits(self) -> None:
        """A sender waits for the spool's answer, because its site chose so."""
        self._at = self._clock.monotonic()

    def has_no_room(self) -> None:
        """The spool refused a sender: only the drain makes room, and who tries again is not to keep it from that."""
        self._at = None

    def now(self, waiting_bytes: int) -> bool:
        """Whether the drain is to leave disk, store and processor to senders, as far as that goes."""
        at = self._at
        return at is not None and self._clock.monotonic() - at < _QUIET_S and waiting_bytes < _BACKLOG_BYTES_MAX
