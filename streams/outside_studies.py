"""Which studies have an image from outside, as the log says (docs/decisions/0092).

Who brings an image says where it is from, so one image alone does not say it of those that another sender brings of the
same study. `imaging.study.outside` has a record for each such study, which was there before anything else came of the
image that it speaks of: whoever has read on since it got a record that validate made after that one knows of it.
"""

from __future__ import annotations

import threading
from contextlib import suppress

from streams.clock import Clock
from streams.events import SUBJECTS, Outside, StudyOutside
from streams.log import Log, TopicPartition
from streams.wire import Undecodable, decode

TOPIC = SUBJECTS[StudyOutside]
# Who says it: a fact of one name, by whomever it is written.
STEP = "outside"


class OutsideStudies:
    """Read from the beginning when it is asked first, then on from where it was. Used from several threads.

    Memory: about 300 bytes for each study that ever came from outside.
    """

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._first: dict[tuple[str, str], Outside] = {}
        self._next: dict[TopicPartition, int] = {}
        self._looked_s = float("-inf")

    def of(self, tenant: str, study_uid: str) -> Outside | None:
        """What the first record about a study says, of all that was read so far."""
        with self._lock:
            return self._first.get((tenant, study_uid))

    def read_on(self) -> None:
        """All that the log holds now. Raises LogAway, LogRefused, and UnknownSchema for what this build cannot read."""
        asked_s = self._clock.monotonic()
        with self._lock:
            # Another thread has looked since it was asked for.
            if self._looked_s <= asked_s:
                self._read()

    def _read(self) -> None:
        now_s = self._clock.monotonic()
        self._next = self._next or {TopicPartition(TOPIC, number): 0 for number in range(self._log.partitions(TOPIC))}
        for name, (first, end) in self._log.bounds(self._next.keys()).items():
            start = max(self._next[name], first)
            for record in self._log.read(name, start, end) if start < end else ():
                # What is no event says nothing of a study.
                with suppress(Undecodable):
                    event = decode(record)
                    if isinstance(event, StudyOutside):
                        self._first.setdefault((event.meta.tenant, event.study_uid), event.outside)
            self._next[name] = end
        self._looked_s = now_s
