"""What waits on the spools of the machine's other routers, as it is on the disk now: theirs to commit, in its turn.

There are others while a newer router takes over from an older one, and where [router] processes is more than one. An
instance must not overtake those of its study that another process acknowledged before. Each looks at all others, and
waits only for what has a lower tick, so no two wait for each other.
"""

from __future__ import annotations

import errno
import threading
import time
from collections import Counter
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from producers.dicom_router.spool import places, progress
from producers.dicom_router.spool.reading import appended
from producers.dicom_router.spool.record import SEGMENT_HEAD_BYTES
from producers.dicom_router.spool.segment_bytes import Found


class Others:
    """Used from many threads. `own` is this process's folder."""

    def __init__(self, folder: Path, own: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._ours = {own}
        self._folders: dict[Path, _Folder] = {}
        self._look()

    def hold(self, study: str) -> bool:
        """Whether another has something of that study to commit yet.

        An instance without a study is in order with nothing.
        """
        return self._first(study) is not None

    def hold_before(self, study: str, tick: int) -> bool:
        """Whether another has something of that study to commit that was acknowledged before."""
        first = self._first(study)
        return first is not None and first < tick

    def have_any(self, instances: AbstractSet[int]) -> bool:
        """Whether others have one of these to commit yet, by the short forms of their UIDs. Raises OSError where
        something of theirs cannot be read now: it may be one of them.
        """
        with self._lock:
            is_known = self._look()
            if any(folder.has_any(instances) for folder in self._folders.values()):
                return True
        if not is_known:
            raise OSError(errno.EIO, "what other processes have on the spool cannot be read now")
        return False

    def taken_over(self, path: Path) -> None:
        """What waited there waits here now."""
        with self._lock:
            self._ours.add(path)
            self._folders.pop(path, None)

    def _first(self, study: str) -> int | None:
        """The lowest tick that others have of a study."""
        if not study:
            return None
        with self._lock:
            self._look()
            firsts = (folder.first(study) for folder in self._folders.values())
            return min((first for first in firsts if first is not None), default=None)

    def _look(self) -> bool:
        """Whether all could be read; what cannot be is held as it was known until it can be."""
        is_known = False
        with suppress(OSError):
            paths = set(places.owned_folders(self._folder))
            self._ours &= paths
            self._folders = {path: self._folders.get(path) or _Folder(path) for path in paths - self._ours}
            is_known = True
        for folder in self._folders.values():
            try:
                is_known &= folder.look()
            except (OSError, MemoryError):
                is_known = False
        return is_known


@dataclass
class _Folder:
    """A folder that another process has, or that nobody has taken over yet."""

    path: Path
    _segments: dict[Path, _Segment] = field(default_factory=dict)

    def first(self, study: str) -> int | None:
        firsts = (segment.first(study) for segment in self._segments.values())
        return min((first for first in firsts if first is not None), default=None)

    def has_any(self, instances: AbstractSet[int]) -> bool:
        return any(segment.has_any(instances) for segment in self._segments.values())

    def look(self) -> bool:
        """Whether all could be read. Raises OSError, MemoryError."""
        try:
            paths = places.segments(self.path)
        except FileNotFoundError:
            paths = []  # All of it is committed.
        self._segments = {path: self._segments.get(path) or _Segment(path) for path in paths}
        looked = [segment.look() for segment in self._segments.values()]
        return all(looked)


@dataclass
class _Segment:
    """A segment that another process writes, reads and removes. `waiting` has ticks by check, by study, in order."""

    path: Path
    _waiting: dict[str, dict[bytes, int]] = field(default_factory=dict)
    _records: dict[bytes, Found] = field(default_factory=dict)
    _instances: Counter[int] = field(default_factory=Counter)
    _marks: int = 0
    _size: int = 0
    _end: int = SEGMENT_HEAD_BYTES
    _again_at: float = 0.0

    def first(self, study: str) -> int | None:
        return next(iter(self._waiting.get(study, {}).values()), None)

    def has_any(self, instances: AbstractSet[int]) -> bool:
        return not self._instances.keys().isdisjoint(instances)

    def look(self) -> bool:
        """Goes through what was appended and what was marked as committed since the last look; whether it could.

        What cannot be read now is as it was known, and is let be for as long as it took to find that out: senders wait.
        """
        began = time.monotonic()
        if began < self._again_at:
            return False
        try:
            self._look()
        except (OSError, MemoryError):
            self._again_at = 2 * time.monotonic() - began
            return False
        return True

    def _look(self) -> None:
        """Raises OSError, MemoryError."""
        try:
            # In this order: what is marked is among what is read then.
            marks = progress.marked(self.path, self._marks)
            size = self.path.stat().st_size
            if size < self._end and self._end > SEGMENT_HEAD_BYTES:
                # What the disk did not keep was cut off, and acknowledged to nobody.
                marks = self._again()
            if size != self._size:
                self._read(size)
        except FileNotFoundError:
            # It goes with the last of it that was committed.
            self._waiting, self._records, self._instances = {}, {}, Counter()
            return
        self._marks += len(marks)
        for check in marks:
            self._settled(check)

    def _again(self) -> list[bytes]:
        self._waiting, self._records, self._instances = {}, {}, Counter()
        self._marks, self._size, self._end = 0, 0, SEGMENT_HEAD_BYTES
        return progress.marked(self.path)

    def _read(self, size: int) -> None:
        found, end = appended(self.path, self._end)
        for one in found:
            self._waiting.setdefault(one.study, {})[one.head.check] = one.tick
            self._records[one.head.check] = one
            self._instances[one.instance] += 1
        self._size, self._end = size, end

    def _settled(self, check: bytes) -> None:
        record = self._records.pop(check, None)
        if record is not None:
            of_study = self._waiting[record.study]
            del of_study[check]
            if not of_study:
                del self._waiting[record.study]
            self._instances[record.instance] -= 1
            if not self._instances[record.instance]:
                del self._instances[record.instance]
