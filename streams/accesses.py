"""Reads of studies, for whoever reads them for people: sampled and batched, so that a viewer does not flood the log.

The first read of a study by a reader is an event at once. What follows within the interval is summed in memory and
becomes one event when the interval ends, or when the recorder is closed. A count that a crash loses, or that the log
does not take, only makes a study look less read than it was: it may move to a slower store too early, where it can be
read as well. So nothing waits for these events, and nobody's read fails by them.
"""

from __future__ import annotations

import threading
import uuid
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

import structlog

from streams import metrics
from streams.clock import Clock
from streams.config import Site
from streams.events import SUBJECTS, AccessRead
from streams.generation import meta_of_fact, of_facts
from streams.log import Delivery, Log
from streams.service import source_of
from streams.wire import SchemaIds, encode

STEP = "access"
TOPIC = SUBJECTS[AccessRead]
INTERVAL_S = 600.0
# Studies and readers within one interval; beyond them the oldest gets its event early. About 400 bytes each.
REMEMBERED_MAX = 10_000
_CLOSE_S = 10.0


@dataclass
class _Sum:
    """Reads since the last event; `due_s` is when they become one."""

    due_s: float
    reads: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None


class Accesses:
    """Safe for many threads. Call `flush_due` now and then where reads may cease for long; `close` at the end."""

    def __init__(
        self, log: Log, ids: SchemaIds, site: Site, clock: Clock, *, remembered_max: int = REMEMBERED_MAX
    ) -> None:
        self._producer = log.producer()
        self._ids, self._site, self._clock = ids, site, clock
        self._remembered_max = remembered_max
        # In the order of their ends: all intervals are equally long.
        self._sums: OrderedDict[tuple[str, str], _Sum] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, study_uid: str, reader: str, objects: int = 1) -> None:
        """Counts `objects` read of a study. `reader` is what read: a gateway, an AE title, an account."""
        now = self._clock.now()
        with self._lock:
            self._flush_due()
            held = self._sums.get((study_uid, reader))
            if held is None:
                self._begin(study_uid, reader)
                self._send(study_uid, reader, _Sum(0.0, objects, now, now))
            else:
                held.reads += objects
                held.first_at = held.first_at or now
                held.last_at = now

    def flush_due(self) -> None:
        """Writes what was summed in intervals that have ended."""
        with self._lock:
            self._flush_due()

    def close(self) -> int:
        """Writes what is left; returns how many events the log has not taken in ten seconds."""
        with self._lock:
            while self._sums:
                self._end_oldest()
        return self._producer.close(_CLOSE_S)

    def _begin(self, study_uid: str, reader: str) -> None:
        while len(self._sums) >= self._remembered_max:
            self._end_oldest()
        self._sums[study_uid, reader] = _Sum(self._clock.monotonic() + INTERVAL_S)

    def _flush_due(self) -> None:
        now_s = self._clock.monotonic()
        while self._sums and next(iter(self._sums.values())).due_s <= now_s:
            (study_uid, reader), ended = self._end_oldest()
            if ended.reads:
                # The event that was written now begins an interval of its own.
                self._begin(study_uid, reader)

    def _end_oldest(self) -> tuple[tuple[str, str], _Sum]:
        (study_uid, reader), ended = self._sums.popitem(last=False)
        self._send(study_uid, reader, ended)
        return (study_uid, reader), ended

    def _send(self, study_uid: str, reader: str, read: _Sum) -> None:
        if read.first_at is None or read.last_at is None:
            return
        event = AccessRead(
            meta=meta_of_fact(self._site, self._clock, STEP, str(uuid.uuid4())),
            provenance=of_facts(STEP).provenance(),
            study_uid=study_uid,
            reads=read.reads,
            first_at=read.first_at,
            last_at=read.last_at,
            reader=reader,
        )
        sent = self._producer.send(encode(event, self._ids, source=source_of(self._site, STEP)))
        sent.add_done_callback(_counted)


def _counted(sent: Future[Delivery]) -> None:
    if (error := sent.exception()) is not None:
        metrics.PRODUCE_FAILURES.labels(TOPIC, "away").inc()
        structlog.get_logger().warning("access_not_recorded", kind=type(error).__name__)
