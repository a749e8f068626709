"""Who asked, and what was sent to whom: audit events, and accesses of studies.

Nobody's request waits for the log, but that a retrieve gives it a moment before the first image.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping
from concurrent.futures import Future, wait
from typing import Any, Final

import structlog

from streams import metrics
from streams.accesses import Accesses
from streams.auditing import Outcome, audit_event
from streams.clock import Clock
from streams.config import Site
from streams.events import SUBJECTS, AuditEvent
from streams.log import Delivery, Log
from streams.titles import ae_title
from streams.wire import SchemaIds, encode

STEP: Final = "retrieve"
TOPIC: Final = SUBJECTS[AuditEvent]
# Queries of one reader within it are one event.
INTERVAL_S: Final = 60.0
_READERS_MAX: Final = 1000
_CLOSE_S: Final = 10.0
# A log that is away is no reason not to show a physician images.
_BEGUN_S_MAX: Final = 3.0


def reader_of(association: Any) -> str:
    """Who asks: the calling AE title, and where it is."""
    return f"{ae_title(association.requestor.ae_title)}@{association.requestor.address}"


class Told:
    """Used from the threads of all associations; `flush` from one, about once a second; `close` at the end."""

    def __init__(self, log: Log, ids: SchemaIds, site: Site, clock: Clock, source: str) -> None:
        self._producer = log.producer()
        self._accesses = Accesses(log, ids, site, clock)
        self._ids, self._site, self._clock, self._source = ids, site, clock, source
        self._lock = threading.Lock()
        self._queries: dict[str, list[int]] = {}
        self._due_s = clock.monotonic() + INTERVAL_S

    def queried(self, reader: str, matches: int) -> None:
        with self._lock:
            if len(self._queries) >= _READERS_MAX and reader not in self._queries:
                self._flush()
            sums = self._queries.setdefault(reader, [0, 0])
            sums[0] += 1
            sums[1] += matches

    def begun(self, reader: str, action: str, to: str, wanted: Mapping[str, int]) -> None:
        """Before anything goes out: of a retrieve whose end nobody lives to say, the log has what it was about.

        Returns when the log has it, or does not take it in time: then nothing may be there of a retrieve that goes on.
        `wanted` counts instances by study. `to` is a node's AE title, or the reader itself.
        """
        if wanted:
            said = {"to": to, "instances": str(sum(wanted.values())), **_listed(wanted)}
            wait([self._send(reader, f"{action}.begun", _subject(wanted), said, "success")], _BEGUN_S_MAX)

    def read(self, reader: str, study_uid: str) -> None:
        """Of an instance bytes have gone out."""
        self._accesses.record(study_uid, reader)

    def retrieved(
        self, reader: str, action: str, to: str, sent: Mapping[str, int], failed: int, read: Mapping[str, int]
    ) -> None:
        """`sent` and `read` count instances by study: those that were taken, and those of which bytes went out."""
        said = {"to": to, "instances": str(sum(sent.values())), "failed": str(failed), **_listed(read)}
        self._send(reader, action, _subject(read), said, "success" if sent or not (failed or read) else "failure")

    def flush(self) -> None:
        """Writes what was summed, once its interval is over."""
        with self._lock:
            if self._clock.monotonic() >= self._due_s:
                self._flush()
        self._accesses.flush_due()

    def close(self) -> None:
        with self._lock:
            self._flush()
        self._accesses.close()
        self._producer.close(_CLOSE_S)

    def _flush(self) -> None:
        self._due_s = self._clock.monotonic() + INTERVAL_S
        for reader, (queries, matches) in self._queries.items():
            said = {"queries": str(queries), "matches": str(matches)}
            self._send(reader, "retrieve.query", "studies", said, "success")
        self._queries.clear()

    def _send(self, actor: str, action: str, subject: str, said: dict[str, str], outcome: Outcome) -> Future[Delivery]:
        event = audit_event(
            self._site,
            self._clock,
            actor=actor,
            action=action,
            subject=subject,
            outcome=outcome,
            attributes=said,
            step=STEP,
        )
        sent = self._producer.send(encode(event, self._ids, source=self._source))
        sent.add_done_callback(_counted)
        return sent


def _subject(studies: Collection[str]) -> str:
    return next(iter(studies)) if len(studies) == 1 else f"{len(studies)} studies"


def _listed(studies: Iterable[str]) -> dict[str, str]:
    """Of several studies at most as many as fit an event."""
    return {f"study_{place}": uid for place, uid in zip(range(100), studies, strict=False)}


def _counted(sent: Future[Delivery]) -> None:
    if (error := sent.exception()) is not None:
        metrics.PRODUCE_FAILURES.labels(TOPIC, "away").inc()
        structlog.get_logger().warning("audit_not_written", kind=type(error).__name__)
