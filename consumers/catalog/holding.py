"""How many held instances wait for a person, as a metric: an alert stands on it, so it is looked at all the time.

In a thread of its own: a table that is slow to answer delays no row.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager

import structlog

from consumers.catalog.beside import beside
from consumers.catalog.database import snapshot
from consumers.catalog.quarantine import undecided
from streams import metrics
from streams.step import Away
from streams.stop import Stop

# With a scrape and an evaluation of 15 s each, what is held shows as an alert within a minute.
EVERY_S = 10.0


def watching(dsn: str, every_s: float = EVERY_S) -> AbstractContextManager[None]:
    """Looks again and again until the block ends. Every member looks, and all see the same."""
    return beside("holding", lambda ended: _watch(dsn, every_s, ended))


def _watch(dsn: str, every_s: float, ended: threading.Event) -> None:
    seen: set[str] = set()
    while not ended.wait(every_s):
        try:
            seen = show(dsn, seen)
        except (Away, Stop) as error:
            structlog.get_logger().warning("held_not_counted", reason=str(error))


def show(dsn: str, seen: set[str]) -> set[str]:
    """Sets the metric, 0 for a reason that was seen before and is no more. Returns the reasons. Raises Away."""
    with snapshot(dsn) as cursor:
        found = undecided(cursor)
    for code in seen | found.keys():
        metrics.QUARANTINE_OPEN.labels(code).set(found.get(code, 0))
    return seen | found.keys()
