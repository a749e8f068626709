"""When what stands aside is tried again, without a restart: what refused it may be mended, as a proxy's limit."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from producers.dicom_router.spool import aside, places
from streams.backoff import Backoff

# With the jitter, after an hour at least and a day at most; twice as long each time.
AGAIN: Final = Backoff(first_s=2 * 3600.0, max_s=24 * 3600.0)
LOOK_S: Final = 60.0
# Each is a rename that is waited for until the disk has it, and whoever looks has more to do.
_AT_ONCE_MAX: Final = 50


class Again:
    """Used from one thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._look_at = 0.0
        # By name and when it was set aside, as one that is refused again has its name of before: Unix time.
        self._due_at: dict[tuple[str, int], float] = {}

    def due(self) -> list[Path]:
        """Records whose time has come, the oldest first, as far as the disk has room for one to be set aside again.
        Raises OSError."""
        if time.monotonic() < self._look_at:
            return []
        self._look_at = time.monotonic() + LOOK_S
        found = {(path.name, path.stat().st_mtime_ns): path for path in aside.records(self._folder)}
        self._due_at = {key: self._due_at.get(key) or _due_at(path, key[1]) for key, path in found.items()}
        now, free_bytes = time.time(), places.free_bytes(self._folder)
        due = [
            path
            for key, path in sorted(found.items(), key=lambda one: one[0][1])
            if self._due_at[key] <= now and path.stat().st_size < free_bytes
        ]
        return due[:_AT_ONCE_MAX]


def _due_at(path: Path, set_aside_ns: int) -> float:
    """Never, of what no try will mend: a record of another version of the router."""
    tries = aside.tries(path)
    return set_aside_ns / 1e9 + AGAIN.delay_s(tries) if tries else float("inf")
