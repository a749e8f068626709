"""A segment as those see it who wait for its records: it goes with the last of them."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from producers.dicom_router.spool import progress


class Shelf:
    """`waiting` counts what keeps the segment: records that are not committed. Used from many threads."""

    def __init__(self, path: Path, waiting: int = 0, *, sealed: bool = False) -> None:
        """`sealed`: nothing is appended any more."""
        self.path = path
        self.waiting = waiting
        self._sealed = sealed
        self._lock = threading.Lock()

    def add(self) -> None:
        with self._lock:
            self.waiting += 1

    def drop(self) -> None:
        """One that needs nothing more of the segment."""
        with self._lock:
            self.waiting -= 1
        self.remove_if_done()

    def seal(self) -> None:
        with self._lock:
            self._sealed = True
        self.remove_if_done()

    def remove_if_done(self) -> None:
        with self._lock:
            done = self._sealed and not self.waiting
        if done:
            # Where the disk does not let it go, whoever starts next commits it once more, which is harmless.
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
                progress.beside(self.path).unlink(missing_ok=True)
