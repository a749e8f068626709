"""Whose studies from outside are here, as the log says: the last decision about each (docs/decisions/0043)."""

from __future__ import annotations

import threading

from streams.clock import Clock
from streams.events import SUBJECTS, ImportDecision
from streams.log import Log, TopicPartition
from streams.wire import decode

_TOPIC = SUBJECTS[ImportDecision]
_LOOK_S = 1.0


class ImportDecisions:
    """Read from the beginning when it is asked first, then on from where it was; some dozens a day come to it.

    Used from several threads.
    """

    def __init__(self, log: Log, tenant: str, clock: Clock) -> None:
        self._log = log
        self._tenant = tenant
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[str, ImportDecision] = {}
        self._decided: dict[str, set[str]] = {}  # by study, the decisions that were read
        self._next: dict[TopicPartition, int] = {}
        self._looked_s = float("-inf")

    def of(self, study_uid: str, *, up_to_now: bool) -> ImportDecision | None:
        """The last about a study: with `up_to_now` of all that the log holds, else of what it held a second ago.

        Raises LogAway, LogRefused, and UnknownSchema or Undecodable for what this build cannot read.
        """
        with self._lock:
            if up_to_now or self._clock.monotonic() - self._looked_s > _LOOK_S:
                self._read_on()
            return self._last.get(study_uid)

    def has_changed(self, study_uid: str) -> bool:
        """Whether it was decided more than once, of what was read so far: it may have been another's here."""
        with self._lock:
            return len(self._decided.get(study_uid, ())) > 1

    def _read_on(self) -> None:
        now_s = self._clock.monotonic()
        names = [TopicPartition(_TOPIC, number) for number in range(self._log.partitions(_TOPIC))]
        for name, (first, end) in self._log.bounds(names).items():
            start = self._next.get(name, first)
            for record in self._log.read(name, start, end) if start < end else ():
                event = decode(record)
                if isinstance(event, ImportDecision) and event.meta.tenant == self._tenant:
                    self._take(event)
            self._next[name] = end
        self._looked_s = now_s

    def _take(self, event: ImportDecision) -> None:
        decided = self._decided.setdefault(event.study_uid, set())
        # Delivery is at least once: a second record of one decision is no later one.
        if event.meta.event_id not in decided:
            decided.add(event.meta.event_id)
            self._last[event.study_uid] = event
