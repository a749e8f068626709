"""Records that cannot be understood: kept with their original bytes, counted, and had back for a redrive."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import structlog

from schemas import load_topics
from streams.log import Log, LogAway, TopicPartition
from streams.logs import places
from streams.origin import is_of_another_member, origin_headers, original
from streams.service import Context
from streams.sizes import RECORD_BYTES_MAX, size_of
from streams.wire import Message, Record

DEAD_LETTER = "imaging.deadletter"
# What stands as `origin_group` in the marks of redrives (`streams.letters`), which are beside the letters.
REDRIVE = "redrive"
_AGAIN_S = 0.5


def dead_letter_topic(group: str) -> str:
    return load_topics().of_group(DEAD_LETTER, group)


def dead_letter(record: Record, group: str, reason: str, at: datetime) -> Message:
    """Of a record that is too large with these headers only its place is kept: `left_out_bytes` says so."""
    topic, origin = dead_letter_topic(group), origin_headers(record, group, reason, at)
    whole = Message(topic, record.key, record.value, (*record.headers, *origin))
    if (size := size_of(whole)) <= RECORD_BYTES_MAX:
        return whole
    return Message(topic, None, None, (*origin, ("left_out_bytes", str(size).encode())))


def is_mark(record: Record) -> bool:
    """Whether a record of a dead-letter topic is no letter, but says of one that it was put back."""
    return record.header("origin_group") == REDRIVE


def reason_of(error: BaseException) -> str:
    """An exception's type and place in the code; its text can quote a patient's name."""
    where = places(error.__traceback__)
    return f"{type(error).__name__} at {where[-1]}" if where else type(error).__name__


@dataclass(frozen=True)
class DeadRecord:
    """A dead letter as it stands in the topic. `record` is the original."""

    record: Record
    reason: str
    at_ms: int


def dead_letters(log: Log, group: str, newest: int | None = None) -> Iterator[DeadRecord]:
    """What the group's topic holds of it now; of each partition those among the `newest`, or all.

    Raises LogAway, LogRefused.
    """
    topic = dead_letter_topic(group)
    names = [TopicPartition(topic, number) for number in range(log.partitions(topic))]
    for name, (first, end) in log.bounds(names).items():
        start = first if newest is None else max(first, end - newest)
        for record in log.read(name, start, end):
            if not is_mark(record) and not is_of_another_member(record, group):
                yield DeadRecord(original(record), record.header("reason") or "", record.timestamp_ms)


class DeadLetterLimit:
    """Of at most `count_max` records in any window of `window_s` seconds: beyond it something is wrong with more than
    records. One record counts once, however often its dead letter has to be written."""

    def __init__(self, context: Context, group: str, count_max: int, window_s: float) -> None:
        self._context = context
        self._group = group
        self._count_max = count_max
        self._window_s = window_s
        # By where the record was read, the oldest first.
        self._times_s: OrderedDict[tuple[str, int, int], float] = OrderedDict()

    def recall(self) -> None:
        """Counts what is in the topic already: a restart does not clear the count. Waits for the log."""
        while not self._context.stopping.is_set():
            try:
                found = list(dead_letters(self._context.log, self._group, self._count_max))
            except LogAway as error:
                structlog.get_logger().warning("waiting", part="log", reason=str(error), again_s=_AGAIN_S)
                self._context.stopping.wait(_AGAIN_S)
            else:
                now_s = self._context.clock.now().timestamp()
                for one in sorted(found, key=lambda one: one.at_ms):
                    age_s = max(now_s - one.at_ms / 1000, 0.0)
                    self._count(one.record, self._context.clock.monotonic() - age_s)
                return

    def admits(self, record: Record) -> bool:
        """`record` is as it was first read."""
        now_s = self._context.clock.monotonic()
        while self._times_s and next(iter(self._times_s.values())) < now_s - self._window_s:
            self._times_s.popitem(last=False)
        if _place(record) not in self._times_s and len(self._times_s) >= self._count_max:
            return False
        self._count(record, now_s)
        return True

    def _count(self, record: Record, at_s: float) -> None:
        self._times_s[_place(record)] = at_s
        self._times_s.move_to_end(_place(record))
        if len(self._times_s) > self._count_max:
            self._times_s.popitem(last=False)

    def exceeded(self, place: str, reason: str) -> str:
        """Why the consumer stops, for a person."""
        return (
            f"{place}: more than {self._count_max} dead letters in {self._window_s:.0f} s in group {self._group}. "
            f"The record is kept where it is. Look at them (radstream deadletters list {self._group}), mend the cause, "
            f"then start the service again. The last reason: {reason}"
        )


def _place(record: Record) -> tuple[str, int, int]:
    return record.topic, record.partition, record.offset
