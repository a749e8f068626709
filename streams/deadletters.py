"""Records that cannot be understood: kept with their original bytes, counted, and had back for a redrive."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from schemas import load_topics
from streams.clock import Clock
from streams.log import Log, TopicPartition
from streams.logs import places
from streams.origin import origin_headers, original
from streams.wire import Message, Record

DEAD_LETTER = "imaging.deadletter"


def dead_letter_topic(group: str) -> str:
    return load_topics().of_group(DEAD_LETTER, group)


def dead_letter(record: Record, group: str, reason: str, at: datetime) -> Message:
    headers = (*record.headers, *origin_headers(record, group, reason, at))
    return Message(dead_letter_topic(group), record.key, record.value, headers)


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
    """What the group's topic holds now; of each partition the `newest` ones, or all. Raises LogAway, LogRefused."""
    topic = dead_letter_topic(group)
    names = [TopicPartition(topic, number) for number in range(log.partitions(topic))]
    for name, (first, end) in log.bounds(names).items():
        start = first if newest is None else max(first, end - newest)
        for record in log.read(name, start, end):
            yield DeadRecord(original(record), record.header("reason") or "", record.timestamp_ms)


class DeadLetterLimit:
    """At most `count_max` in any window of `window_s` seconds: beyond it something is wrong with more than records."""

    def __init__(self, count_max: int, window_s: float, clock: Clock) -> None:
        self.count_max = count_max
        self.window_s = window_s
        self._clock = clock
        self._times_s: deque[float] = deque(maxlen=count_max + 1)

    def recall(self, log: Log, group: str) -> None:
        """Counts what is in the topic already: a restart does not clear the count. Raises LogAway, LogRefused."""
        now_s = self._clock.now().timestamp()
        ages_s = [now_s - found.at_ms / 1000 for found in dead_letters(log, group, self.count_max)]
        self._times_s.extend(self._clock.monotonic() - max(age_s, 0.0) for age_s in sorted(ages_s, reverse=True))

    def admits_one_more(self) -> bool:
        now_s = self._clock.monotonic()
        while self._times_s and self._times_s[0] < now_s - self.window_s:
            self._times_s.popleft()
        if len(self._times_s) >= self.count_max:
            return False
        self._times_s.append(now_s)
        return True

    def exceeded(self, place: str, group: str, reason: str) -> str:
        """Why the consumer stops, for a person."""
        return (
            f"{place}: more than {self.count_max} dead letters in {self.window_s:.0f} s in group {group}. The record "
            f"is kept where it is. Look at {dead_letter_topic(group)}, mend the cause, then start the service again. "
            f"The last reason: {reason}"
        )
