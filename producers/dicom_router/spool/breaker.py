"""Whether store and log answer, so that one sender waits to find out and not each of them.

Closed, everybody commits. It opens when a commit finds a part away, or when one is under way for longer than a sender
is kept waiting. From then on nobody tries but one probe at a time: at once after the first failure, which may have been
that of one connection, then after a capped backoff with jitter. The first commit that works closes it. What fails while
others work neither opens it nor keeps it open (`suspects`).
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from types import TracebackType

import structlog

from producers.dicom_router.spool.suspects import Suspects
from streams.backoff import Backoff
from streams.clock import Clock
from streams.log import LogAway, LogClosed, TopicClosed
from streams.objects import StoreAway
from streams.s3_clients import PUT_BYTES_PER_S_MIN

# A log that lets us write nothing is as good as away; one that refuses a record is there. A topic that lets us write
# nothing is away for what goes there, and says nothing of the others: nothing opens or closes by it.
AWAY = (StoreAway, LogAway, LogClosed, TimeoutError)
# Everybody waits for the probe, and a large object may take minutes: it is one where no small one came for a while. And
# the drain commits one of them at a time: the others wait for it, and not the images of other studies.
LARGE_BYTES = 64 << 20
_LARGE_LATER_S = 5.0
_AGAIN = Backoff(first_s=0.25, max_s=5.0)


class Breaker:
    """Used from many threads. `patience_s`: how long a commit may take before others no longer wait for theirs."""

    def __init__(self, clock: Clock, patience_s: float, again: Backoff = _AGAIN) -> None:
        self._clock = clock
        self._patience_s = patience_s
        self._again = again
        self._lock = threading.Lock()
        self._under_way: set[Turn] = set()
        self._probe: Turn | None = None
        self._failures = 0
        self._due = 0.0
        self._held = False
        self._closed_by = ""
        self._suspects = Suspects()

    def hold(self) -> None:
        """Nobody tries, not even a probe, until `release`: it is not known yet whether the store may be used."""
        with self._lock:
            self._held = True

    def release(self) -> None:
        with self._lock:
            self._held = False

    @property
    def closed(self) -> bool:
        with self._lock:
            return self._is_closed()

    def away(self) -> LogAway | LogClosed:
        """To raise for whom there is no turn: what the log does not let us, while that is why."""
        with self._lock:
            why = self._closed_by if self._failures else ""
        return LogClosed(why) if why else LogAway("store or log are known to be away")

    def may_try(self, size_bytes: int = 0) -> bool:
        """Whether `turn` would give leave now."""
        with self._lock:
            return self._is_closed() or self._probe_is_due(size_bytes)

    @property
    def commits(self) -> int:
        """How many commits have worked."""
        with self._lock:
            return self._suspects.commits

    def failed_alone(self, subject: bytes) -> int:
        """How often a subject failed, not counted where nobody was committed since its failure before."""
        with self._lock:
            return self._suspects.alone(subject)

    def turn(self, size_bytes: int, subject: bytes = b"", *, probing: bool = True) -> Turn | None:
        """Leave to try a commit of so many bytes: `with turn: ...`. None while parts are away: not now.

        `subject` is the digest of what is committed, empty where the store is not asked for anything. `probing` says
        whether this one may be the probe.
        """
        now = self._clock.monotonic()
        with self._lock:
            closed = self._is_closed()
            if not closed and not (probing and self._probe_is_due(size_bytes)):
                return None
            # A large object may take longer: it moves, so nobody is away.
            overdue_at = now + self._patience_s + size_bytes / PUT_BYTES_PER_S_MIN
            turn = Turn(self, math.inf if self._suspects.alone(subject) else overdue_at, subject)
            self._under_way.add(turn)
            if not closed:
                self._probe = turn
            return turn

    def _is_closed(self) -> bool:
        now = self._clock.monotonic()
        return not self._held and not self._failures and all(turn.overdue_at > now for turn in self._under_way)

    def _probe_is_due(self, size_bytes: int) -> bool:
        waits = self._held or self._probe is not None
        due_at = self._due + (_LARGE_LATER_S if size_bytes > LARGE_BYTES else 0.0)
        return bool(self._failures) and not waits and self._clock.monotonic() >= due_at

    def ended(self, turn: Turn, error: BaseException | None) -> None:
        away = isinstance(error, AWAY) and not isinstance(error, TopicClosed)
        with self._lock:
            if turn.subject and error is None:
                self._suspects.committed(turn.subject)
            elif turn.subject and away and not isinstance(error, LogClosed):
                away = not self._suspects.failed(turn.subject)
            self._under_way.discard(turn)
            was, is_probe = self._failures, self._probe is turn
            if is_probe:
                self._probe = None
            if error is None:
                self._failures = 0
            elif away and (is_probe or not was):
                self._failures += 1
                # The log's own words are ours: what was tried, and what it does not let us.
                self._closed_by = str(error) if isinstance(error, LogClosed) else ""
                wait_s = self._again.delay_s(self._failures - 1) if self._failures > 1 else 0.0
                self._due = self._clock.monotonic() + wait_s
            now_open, reason = bool(self._failures), self._closed_by
        if now_open and not was and error is not None:
            structlog.get_logger().warning("parts_away", error=error, reason=reason)
        elif was and not now_open:
            structlog.get_logger().info("parts_back")


@dataclass(eq=False)
class Turn:
    """A commit that is tried."""

    breaker: Breaker
    overdue_at: float
    subject: bytes = b""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.breaker.ended(self, error)
