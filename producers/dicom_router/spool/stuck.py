"""What can be neither committed nor set aside now, as on a full disk: it waits for its next try, and nobody for it."""

from __future__ import annotations

import threading
import time
from typing import Final

from producers.dicom_router.spool.order import Entry

# A person has to mend it: the disk, or what is on it.
PAUSE_S: Final = 60.0


class Stuck:
    """Used from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # With when each is tried again.
        self._entries: list[tuple[float, Entry]] = []

    def put(self, entry: Entry) -> None:
        entry.was_stuck = True
        with self._lock:
            self._entries.append((time.monotonic() + PAUSE_S, entry))

    def take_due(self) -> list[Entry]:
        """What is to be tried again now. It is not here any more."""
        now = time.monotonic()
        with self._lock:
            due = [entry for at, entry in self._entries if at <= now]
            self._entries = [(at, entry) for at, entry in self._entries if at > now]
        return due

    @property
    def entries(self) -> list[Entry]:
        with self._lock:
            return [entry for _, entry in self._entries]
