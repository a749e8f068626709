"""Who comes first where a site chose that the spool answers its senders: they, and the drain behind them."""

from __future__ import annotations

from typing import Final

from streams.clock import Clock

# Senders come and go: so long after the last one, everything is the drain's again.
_QUIET_S: Final = 0.5
# Of each commit of the drain's, by each sender that came meanwhile.
_SHARE: Final = 2.0
# What waits is a promise of one node's disk. When it is so much, or something has waited so long, it is not made to
# wait any longer: a burst passes, and senders that never pause cannot keep the drain below what they bring.
_BACKLOG_BYTES_MAX: Final = 1 << 30
_BACKLOG_S_MAX: Final = 30.0


class GivingWay:
    """`sender_waits` and `has_no_room` are told from the threads of all associations at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # How many senders waited so far. Threads that count at once may count one for two: it is a measure, no ledger.
        self.senders = 0
        self._at: float | None = None
        self._waiting_since: float | None = None

    def sender_waits(self) -> None:
        """A sender waits for the spool's answer, because its site chose so."""
        self.senders += 1
        self._at = self._clock.monotonic()

    def has_no_room(self) -> None:
        """The spool refused a sender: only the drain makes room, and who tries again is not to keep it from that."""
        self._at = None

    def now(self, waiting_bytes: int) -> bool:
        """Whether the drain is to leave disk, store and processor to senders, as far as that goes.

        Asked after every entry, also after the last: only an empty spool lets it give way for another 30 s.
        """
        now = self._clock.monotonic()
        if not waiting_bytes:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = now
        since, at = self._waiting_since, self._at
        if waiting_bytes >= _BACKLOG_BYTES_MAX or (since is not None and now - since >= _BACKLOG_S_MAX):
            return False
        return at is not None and now - at < _QUIET_S

    @staticmethod
    def pause_s(took_s: float, senders: int) -> float:
        """How long the drain waits after a commit of `took_s` seconds while which so many senders came.

        A scanner that sends ten images a second hardly ever makes it wait; a burst that takes all of the machine has
        nearly all of it. It looks again after half a second, whatever it was.
        """
        return min(_SHARE * took_s * senders, _QUIET_S)
