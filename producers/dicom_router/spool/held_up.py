"""Entries that fail while others are committed: each is tried again, less and less often, and said to wait."""

from __future__ import annotations

import threading
from typing import Final

import structlog

from producers.dicom_router.spool.order import Entry
from streams.backoff import Backoff

_AGAIN: Final = Backoff(first_s=1.0, max_s=60.0)
# Some fail twice in a bad minute; what does so more often is for a person.
SAID_AFTER: Final = 3


class HeldUp:
    """Used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tries: dict[Entry, int] = {}

    def failed(self, entry: Entry, tries: int, error: Exception) -> float:
        """For how long its study is to be let be (seconds)."""
        again_s = _AGAIN.delay_s(tries)
        with self._lock:
            self._tries[entry] = tries
        structlog.get_logger().warning(
            "spool_held_up",
            error=error,
            file=_name(entry),
            at=entry.found.start,
            tries=tries,
            again_s=round(again_s, 2),
        )
        return again_s

    def over(self, entry: Entry) -> None:
        """It is committed, or stands aside."""
        with self._lock:
            self._tries.pop(entry, None)

    @property
    def said(self) -> str:
        """What a person should look at; empty where there is nothing."""
        with self._lock:
            long = {entry: tries for entry, tries in self._tries.items() if tries >= SAID_AFTER}
        if not long:
            return ""
        worst = max(long, key=lambda entry: long[entry])
        return (
            f"{len(long)} acknowledged instances on the spool failed again and again while others were committed "
            f"({_name(worst)} {long[worst]} times); they are tried at least once a minute, and their studies wait. The "
            "log of the store, or of a proxy before it, says why"
        )


def _name(entry: Entry) -> str:
    return f"{entry.shelf.path.parent.name}/{entry.shelf.path.name}"
