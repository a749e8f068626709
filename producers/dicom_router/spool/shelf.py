"""A segment as those see it who wait for its records: it goes with the last of them."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

from producers.dicom_router.spool import progress


class Shelf:
    """`waiting` counts what keeps the segment: records that are not committed. `is_durable`: the disk has those that
    wait, so their like may be promised by them. Used from many threads.

    What is committed is noted beside the segment. What the disk does not take of that is kept here, for `note`.
    """

    def __init__(self, path: Path, waiting: int = 0, *, sealed: bool = False) -> None:
        """`sealed`: nothing is appended any more."""
        self.path = path
        self.waiting = waiting
        self.is_durable = True
        self._sealed = sealed
        self._not_noted: list[bytes] = []
        self._gone = False
        self._lock = threading.Lock()
        # Held while the disk takes a note: who appends to the segment does not wait for that.
        self._noting = threading.Lock()

    def add(self) -> None:
        with self._lock:
            self.waiting += 1

    def committed(self, check: bytes) -> bool:
        """Notes that a record is; False where the disk does not take the note now.

        Without it the record is committed again after a restart, which is harmless. Other processes wait meanwhile.
        """
        with self._lock:
            self._not_noted.append(check)
        return self.note()

    def note(self) -> bool:
        """Whether all is noted that is committed. Of a segment that is gone there is nothing to note."""
        with self._noting:
            while (check := self._next_note()) is not None:
                try:
                    progress.mark(self.path, check)
                except OSError:
                    return False
                with self._lock:
                    del self._not_noted[0]
                    if self._gone:
                        self._remove_notes()
            return True

    def _next_note(self) -> bytes | None:
        with self._lock:
            return self._not_noted[0] if self._not_noted and not self._gone else None

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
            if self._gone or not self._sealed or self.waiting:
                return
            # Where the disk does not let it go, whoever starts next commits it once more, which is harmless.
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
                self._gone = True
            if self._gone:
                self._remove_notes()

    def _remove_notes(self) -> None:
        """Also what was noted while the segment went."""
        with suppress(OSError):
            progress.beside(self.path).unlink(missing_ok=True)
