"""Whether a spool may take more: its budget, its disk, and what a person is told where it may not."""

from __future__ import annotations

import errno
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from producers.dicom_router.spool import ballast, places

# What waits is known to the process by some 500 bytes each.
INSTANCES_MAX: Final = 250_000
_TRIAL: Final = "trial"


@dataclass(frozen=True)
class Limits:
    """In bytes. `free_bytes_min` is what the spool leaves of its disk to others."""

    budget_bytes: int
    free_bytes_min: int


class Room:
    """Counts what all processes have in the folder: as last looked at, and what this one wrote since."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self._folder = folder
        self._limits = limits
        self._lock = threading.Lock()
        self._looked_at = 0
        self._since = 0

    @property
    def used_bytes(self) -> int:
        return self._looked_at + self._since

    def take(self, size: int) -> None:
        """Notes what was written. What is deleted counts until the next look."""
        with self._lock:
            self._since += size

    def look(self) -> None:
        """Counts anew. What is written meanwhile is counted twice until the next look, and never not at all."""
        with self._lock:
            self._since = 0
        found = places.bytes_under(self._folder)
        with self._lock:
            self._looked_at = found

    def refusal(self, size: int, instances: int) -> str | None:
        """Why an instance of `size` bytes cannot be taken beside those that wait; None where it can."""
        if self.used_bytes + size > self._limits.budget_bytes:
            used, budget = _said(self.used_bytes), _said(self._limits.budget_bytes)
            return f"the spool is full: {used} of {budget} ([router.spool] budget_bytes)"
        if instances >= INSTANCES_MAX:
            return f"the spool is full: {INSTANCES_MAX} instances wait"
        least = self._limits.free_bytes_min + ballast.missing_bytes(self._folder)
        if places.free_bytes(self._folder) - size < least:
            return f"the disk of {self._folder} has less than {_said(least)} free ([router.spool] free_bytes_min)"
        return None


def disk_is_full(error: BaseException) -> bool:
    """Whether a disk did not take something for lack of room: of blocks, of inodes, or of what its user may have."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def try_disk(folder: Path) -> None:
    """Writes a small file, asks the disk to keep it, and removes it. Raises OSError where the disk does not."""
    path = folder / f"{_TRIAL}-{os.getpid()}"
    path.unlink(missing_ok=True)
    descriptor = places.create(path)
    try:
        os.write(descriptor, bytes(4096))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
        path.unlink()


def _said(size: int) -> str:
    return f"{size / (1 << 20):.0f} MiB"
