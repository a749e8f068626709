"""Whether a spool may take more: its budget, its disk, and what a person is told where it may not."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from producers.dicom_router.spool import ballast, places

# What waits is known to the process by some 500 bytes each.
INSTANCES_MAX: Final = 250_000
# Others write to the disk, too: it is asked so often, and for each image where less is left than they bring meanwhile.
_ASKED_S: Final = 0.1
_PLENTY_BYTES: Final = 1 << 30
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
        self._reserved = 0
        self._spare = 0
        self._asked_until_s = 0.0

    @property
    def used_bytes(self) -> int:
        return self._looked_at + self._since + self._reserved

    def take(self, size: int) -> None:
        """Notes what was written. What is deleted counts until the next look."""
        with self._lock:
            self._since += size

    def reserve(self, size: int) -> Reserved:
        """For what is written piece by piece: others are told meanwhile how much of the room is not theirs."""
        self.move(size, 0)
        return Reserved(self, size)

    def move(self, reserved: int, written: int) -> None:
        """Notes how much more is reserved, and how much more is written."""
        with self._lock:
            self._reserved += reserved
            self._since += written

    def look(self, unlisted: Collection[Path] = ()) -> None:
        """Counts anew, without folders that could not be listed, and cannot be. What is written meanwhile is counted
        twice until the next look, and never not at all: nor where this raises OSError."""
        with self._lock:
            before = self._since
        self._asked_until_s = 0.0
        found = places.bytes_under(self._folder, unlisted)
        with self._lock:
            self._looked_at = found
            self._since -= before

    def refusal(self, size: int, instances: int) -> str | None:
        """Why an instance of `size` bytes cannot be taken beside those that wait; None where it can."""
        if self.used_bytes + size > self._limits.budget_bytes:
            used, budget = _said(self.used_bytes), _said(self._limits.budget_bytes)
            return f"the spool is full: {used} of {budget} ([router.spool] budget_bytes)"
        if instances >= INSTANCES_MAX:
            return f"the spool is full: {INSTANCES_MAX} instances wait"
        if self._spare_bytes(size) < 0:
            least = self._limits.free_bytes_min + ballast.missing_bytes(self._folder)
            return f"the disk of {self._folder} has less than {_said(least)} free ([router.spool] free_bytes_min)"
        return None

    def _spare_bytes(self, size: int) -> int:
        """What the disk has beyond what is left free, when `size` bytes more are on it.

        Where there is plenty it is not asked for each image: that would cost as much as all else of a small one.
        """
        now_s = time.monotonic()
        if now_s >= self._asked_until_s or self._spare - size < _PLENTY_BYTES:
            least = self._limits.free_bytes_min + ballast.missing_bytes(self._folder)
            self._spare = places.free_bytes(self._folder) - self._reserved - least
            self._asked_until_s = now_s + _ASKED_S
        self._spare -= size
        return self._spare


@dataclass
class Reserved:
    """Room for `left` bytes, of one thread."""

    room: Room
    left: int

    def take(self, size: int) -> None:
        """So many of them are written. Head and metadata are beyond what was reserved."""
        reserved = min(size, self.left)
        self.left -= reserved
        self.room.move(-reserved, size)

    def give_back(self) -> None:
        """What was not written."""
        self.room.move(-self.left, 0)
        self.left = 0


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
