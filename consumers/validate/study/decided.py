"""What people decided on held images of a study, up to a moment, as the log says.

A revision is judged by what was decided before it was made. So whoever judges it again, years later, judges it as then,
but where a decision was written after that with an earlier time: by a clock that was behind, or with many others
(docs/decisions/0076).
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from streams.clock import Clock
from streams.events import SUBJECTS, InputRef, QuarantineCommand
from streams.held import CONTRADICTS
from streams.log import Log, TopicPartition
from streams.origin import first_offset
from streams.step import Input
from streams.wire import Record, Undecodable, decode

_TOPIC = SUBJECTS[QuarantineCommand]
# A decision has its time before it is written, one of thousands a minute before; and clocks are not the same one.
_WRITTEN_MAX = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Decided:
    """Digests. `released` are those that a person let go as images of this study, although they name another patient;
    `let_go` are they and those that were held for another reason. `rejected_uids` are the SOP Instance UIDs of the
    rejected. `last` is the last decision that is among these."""

    rejected: Set[str] = frozenset()
    released: Set[str] = frozenset()
    let_go: Set[str] = frozenset()
    rejected_uids: Set[str] = frozenset()
    last: InputRef | None = None


NOTHING = Decided()


@dataclass(frozen=True, slots=True)
class _Decision:
    """`place` is its place among all decisions."""

    place: int
    at: datetime
    digest: str
    sop_instance_uid: str
    action: str
    code: str
    ref: InputRef


class Decisions:
    """Read from the beginning when it is asked first, then on from where it was. Used from several threads.

    Memory: less than a kB for each decision that there ever was, some dozens a day.
    """

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._of_study: dict[tuple[str, str], list[_Decision]] = defaultdict(list)
        self._next: dict[TopicPartition, int] = {}
        # When the last look began that was not broken off.
        self._looked_s, self._looked_at = float("-inf"), datetime.min.replace(tzinfo=UTC)

    def until(self, at: datetime, tenant: str, study_uid: str) -> Decided:
        """The last decision on each image of a study, of those up to `at` by the clocks of who decided.

        Raises LogAway, LogRefused, and UnknownSchema for what this build cannot read.
        """
        asked_s = self._clock.monotonic()
        with self._lock:
            # Who waited while another looked, and whoever judges again what is long past, needs no look of their own.
            if self._looked_s <= asked_s and self._looked_at < at + _WRITTEN_MAX:
                self._read_on()
            known = [one for one in self._of_study.get((tenant, study_uid), ()) if one.at <= at]
        known.sort(key=lambda one: one.place)
        last = {one.digest: one for one in known}
        return Decided(
            rejected={one.digest for one in last.values() if one.action == "rejected"},
            # Who let a file go that was cut off has not said that it is of this patient.
            released={one.digest for one in last.values() if (one.action, one.code) == ("released", CONTRADICTS)},
            let_go={one.digest for one in last.values() if one.action == "released"},
            rejected_uids={one.sop_instance_uid for one in last.values() if one.action == "rejected"},
            last=known[-1].ref if known else None,
        )

    def _read_on(self) -> None:
        began_s, began_at = self._clock.monotonic(), self._clock.now()
        if not self._next:
            self._next = {TopicPartition(_TOPIC, number): 0 for number in range(self._log.partitions(_TOPIC))}
        for name, (first, end) in self._log.bounds(self._next.keys()).items():
            start = max(self._next[name], first)
            for record in self._log.read(name, start, end) if start < end else ():
                # What is no event is a dead letter of validate, which reads the topic too.
                with suppress(Undecodable):
                    self._take(record)
                self._next[name] = record.offset + 1
            self._next[name] = end
        self._looked_s, self._looked_at = began_s, began_at

    def _take(self, record: Record) -> None:
        event = decode(record)
        if not isinstance(event, QuarantineCommand) or event.action == "other":
            return
        instance, ref = event.instance, Input(event, record).ref
        place = first_offset(record)
        self._of_study[sys.intern(event.meta.tenant), sys.intern(instance.study_uid)].append(
            _Decision(
                place,
                event.meta.occurred_at,
                instance.digest,
                instance.sop_instance_uid,
                event.action,
                sys.intern(event.code),
                ref,
            )
        )
