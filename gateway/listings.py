"""Who was shown lists, as audit events: summed for each client, so that who searches as he types is no flood.

The first search of a client is an event before its answer is sent; what follows within a minute is one more, when the
minute has ended or the recorder is closed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import structlog

from streams.auditing import STEP, audit_event
from streams.service import Context, source_of
from streams.wire import encode

ACTION = "studies_listed"
INTERVAL_S = 60.0
# Beyond these the oldest gets its event early.
CLIENTS_MAX = 10_000
_CLOSE_S = 10.0


@dataclass
class _Sum:
    due_s: float
    searches: int = 0
    results: int = 0


class Listings:
    """Safe for many threads."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._producer = context.log.producer()
        self._sums: OrderedDict[tuple[str, str], _Sum] = OrderedDict()
        self._lock = threading.Lock()

    def record(self, client: str, subject: str, results: int) -> None:
        """`client` is an address or an AE title, `subject` what was listed: studies, series, instances."""
        with self._lock:
            self._end_due()
            held = self._sums.get((client, subject))
            if held is None:
                if len(self._sums) >= CLIENTS_MAX:
                    self._end_oldest()
                self._sums[client, subject] = _Sum(self._context.clock.monotonic() + INTERVAL_S)
                self._send(client, subject, 1, results)
            else:
                held.searches += 1
                held.results += results

    def flush_due(self) -> None:
        """Writes what was summed in minutes that have ended; called now and then, as nobody may ask any more."""
        with self._lock:
            self._end_due()

    def close(self) -> int:
        """Writes what is left; returns how many events the log has not taken in ten seconds."""
        with self._lock:
            while self._sums:
                self._end_oldest()
        return self._producer.close(_CLOSE_S)

    def _end_due(self) -> None:
        now_s = self._context.clock.monotonic()
        while self._sums and next(iter(self._sums.values())).due_s <= now_s:
            self._end_oldest()

    def _end_oldest(self) -> None:
        (client, subject), ended = self._sums.popitem(last=False)
        if ended.searches:
            self._send(client, subject, ended.searches, ended.results)

    def _send(self, client: str, subject: str, searches: int, results: int) -> None:
        site = self._context.site
        event = audit_event(
            site,
            self._context.clock,
            actor=client,
            action=ACTION,
            subject=subject,
            outcome="success",
            attributes={"searches": str(searches), "results": str(results)},
        )
        sent = self._producer.send(encode(event, self._context.ids, source=source_of(site, STEP)))
        sent.add_done_callback(lambda done: _told(done.exception()))


def _told(error: BaseException | None) -> None:
    if error is not None:
        structlog.get_logger().warning("listing_not_recorded", kind=type(error).__name__)
