"""Which performed procedure steps there are, and how they stand: the log says it, and this reads along.

The state is the fold of the topic's last days, brought up to its end before each request about a step that is not
known: so a process that was killed, or another one on another machine, makes no step forgotten.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from schemas import load_topics
from streams.clock import Clock
from streams.events import SUBJECTS, MppsEvent
from streams.log import Delivery, Log, TopicPartition
from streams.wire import Undecodable, decode

Status = Literal["in_progress", "completed", "discontinued", "other"]
FINAL: Final = frozenset(("completed", "discontinued"))
TOPIC: Final = SUBJECTS[MppsEvent]
# A step that was begun longer ago is nobody's any more; what is remembered beyond that is a limit of memory alone.
REMEMBERED_DAYS: Final = 30
REMEMBERED_MAX: Final = 200_000


@dataclass(frozen=True)
class Known:
    """How a step stands; `has_series` says whether it was told what was made."""

    status: Status
    has_series: bool

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


class KnownSteps:
    """Safe for several threads. Every method raises LogAway where the log does not answer."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._lock = threading.Lock()
        self._steps: OrderedDict[str, Known] = OrderedDict()
        self._next: dict[TopicPartition, int] = {}

    def read_up(self) -> None:
        """Reads what the topic has since the last time, or of the last days."""
        with self._lock:
            for partition, end in self._ends().items():
                start = self._next[partition]
                for record in self._log.read(partition, start, end) if start < end else ():
                    try:
                        event = decode(record)
                    except Undecodable:
                        continue  # the catalog's dead letter
                    if isinstance(event, MppsEvent):
                        self._fold(event)
                self._next[partition] = end

    def step(self, mpps_uid: str) -> Known | None:
        """None for a step that the last days do not know."""
        with self._lock:
            known = self._steps.get(mpps_uid)
        # What is final stays so; all else somebody may have changed meanwhile.
        if known is None or not known.is_final:
            self.read_up()
            with self._lock:
                known = self._steps.get(mpps_uid)
        return known

    def said(self, event: MppsEvent, delivery: Delivery) -> None:
        """An event of this process is in the log: it need not be read again where nothing came before it."""
        partition = TopicPartition(delivery.topic, delivery.partition)
        with self._lock:
            if self._next.get(partition) == delivery.offset:
                self._fold(event)
                self._next[partition] = delivery.offset + 1

    def _ends(self) -> dict[TopicPartition, int]:
        (topic,) = load_topics().physical(TOPIC)
        partitions = [TopicPartition(topic, number) for number in range(self._log.partitions(topic))]
        if not self._next:
            since = self._clock.now() - timedelta(days=REMEMBERED_DAYS)
            self._next = dict(self._log.since(partitions, int(since.timestamp() * 1000)))
        return {partition: end for partition, (_, end) in self._log.bounds(partitions).items()}

    def _fold(self, event: MppsEvent) -> None:
        """By PS3.4 section F.7: what was not created is not there, and the first final status is the last."""
        known = self._steps.get(event.mpps_uid)
        if (known is None) == (event.action == "created") and not (known and known.is_final):
            has_series = bool(event.series) or (known is not None and known.has_series)
            self._steps[event.mpps_uid] = Known(event.status, has_series)
            self._steps.move_to_end(event.mpps_uid)
            while len(self._steps) > REMEMBERED_MAX:
                self._steps.popitem(last=False)
