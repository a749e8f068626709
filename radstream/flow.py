"""How far the pipeline is, asked cheaply: ends of topics, and what groups have committed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from radstream.errors import Failure
from schemas import load_topics
from streams.log import Log, LogAway, TopicPartition

# In the order of the way: when one is at zero, the next can only still get what is written already.
GROUPS = ("validate", "derive", "revisions", "ai", "tiering", "catalog")
POLL_S = 0.25

RECEIVED, VALIDATED, QUARANTINED, DERIVED = (
    f"imaging.instance.{name}" for name in ("received", "validated", "quarantined", "derived")
)


@dataclass(frozen=True)
class Flow:
    """Records since the beginning by logical topic, and the lag of each group."""

    records: Mapping[str, int]
    lag: Mapping[str, int]

    @property
    def is_still(self) -> bool:
        return not any(self.lag.values())


class Gauge:
    """Asks the log again and again; which partitions there are, it asks once."""

    def __init__(self, log: Log) -> None:
        topics = load_topics()
        names = {name for group in GROUPS for name in topics.read_by(group)}
        with _broker_there():
            self._of_topic = {
                name: [TopicPartition(name, number) for number in range(log.partitions(name))] for name in names
            }
        self._log = log

    def read(self) -> Flow:
        """Lags first, in the order of the way, then the ends. Raises Failure where the broker does not answer."""
        with _broker_there():
            lag = {group: self._lag(group) for group in GROUPS}
            return Flow({topic: self._end(topic) for topic in (RECEIVED, VALIDATED, QUARANTINED, DERIVED)}, lag)

    def wait_until_still(
        self, ended: Callable[[], bool], stalled_s_max: float, on_flow: Callable[[Flow], None] = lambda _: None
    ) -> Flow:
        """Waits until no group is behind and `ended` is true; returns what it saw last.

        Gives up where nothing has moved for `stalled_s_max` seconds. A broker that comes back meanwhile is waited for;
        raises Failure where it does not.
        """
        before, moved_s = None, time.monotonic()
        while True:
            seen = self._read_before(moved_s + stalled_s_max)
            on_flow(seen)
            if moved := seen != before:
                before, moved_s = seen, time.monotonic()
            # Inference feeds the beginning of the way again: still is what has not moved between two looks.
            if (seen.is_still and not moved and ended()) or time.monotonic() - moved_s > stalled_s_max:
                return seen
            time.sleep(POLL_S)

    def _read_before(self, give_up_s: float) -> Flow:
        while True:
            try:
                return self.read()
            except Failure:
                if time.monotonic() > give_up_s:
                    raise
            time.sleep(POLL_S)

    def _lag(self, group: str) -> int:
        partitions = [name for topic in load_topics().read_by(group) for name in self._of_topic[topic]]
        done = self._log.committed(group, partitions)
        return sum(end - (done[name] or first) for name, (first, end) in self._log.bounds(partitions).items())

    def _end(self, topic: str) -> int:
        partitions = [name for physical in load_topics().physical(topic) for name in self._of_topic[physical]]
        return sum(end for _, end in self._log.bounds(partitions).values())


@contextmanager
def _broker_there() -> Iterator[None]:
    try:
        yield
    except LogAway:
        raise Failure("the broker does not answer; see what runs, and start it: radstream up") from None
