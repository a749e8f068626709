"""What waits on the spools of the machine's other routers, as it is on the disk now: theirs to commit, in its turn.

There are others while a newer router takes over from an older one, and where [router] processes is more than one. An
instance must not overtake those of its study that another process acknowledged before. Each looks at all others, and
waits only for what has a lower tick, so no two wait for each other.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from producers.dicom_router.spool import places, progress
from producers.dicom_router.spool.reading import appended
from producers.dicom_router.spool.record import SEGMENT_HEAD_BYTES


class Others:
    """Used from many threads. `own` is this process's folder. Raises OSError."""

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

    def _look(self) -> None:
        """What cannot be read now is held as it was known until it can be."""
        with suppress(OSError):
            paths = set(places.owned_folders(self._folder))
            self._ours &= paths
            self._folders = {path: self._folders.get(path) or _Folder(path) for path in paths - self._ours}
        for folder in self._folders.values():
            with suppress(OSError):
                folder.look()


@dataclass
class _Folder:
    """A folder that another process has, or that nobody has taken over yet."""

    path: Path
    _segments: dict[Path, _Segment] = field(default_factory=dict)

    def first(self, study: str) -> int | None:
        firsts = (segment.first(study) for segment in self._segments.values())
        return min((first for first in firsts if first is not None), default=None)

    def look(self) -> None:
        """Raises OSError."""
        try:
            paths = places.segments(self.path)
        except FileNotFoundError:
            paths = []  # All of it is committed.
        self._segments = {path: self._segments.get(path) or _Segment(path) for path in paths}
        for segment in self._segments.values():
            segment.look()


@dataclass
class _Segment:
    """A segment that another process writes, reads and removes. `waiting` has ticks by check, by study, in order."""

    path: Path
    _waiting: dict[str, dict[bytes, int]] = field(default_factory=dict)
    _studies: dict[bytes, str] = field(default_factory=dict)
    _marks: int = 0
    _size: int = 0
    _end: int = SEGMENT_HEAD_BYTES

    def first(self, study: str) -> int | None:
        return next(iter(self._waiting.get(study, {}).values()), None)

    def look(self) -> None:
        """Goes through what was appended and what was marked as committed since the last look. Raises OSError."""
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
            self._waiting, self._studies = {}, {}
            return
        self._marks += len(marks)
        for check in marks:
            self._settled(check)

    def _again(self) -> list[bytes]:
        self._waiting, self._studies, self._marks, self._size, self._end = {}, {}, 0, 0, SEGMENT_HEAD_BYTES
        return progress.marked(self.path)

    def _read(self, size: int) -> None:
        found = appended(self.path, self._end)
        for one in found:
            self._waiting.setdefault(one.study, {})[one.head.check] = one.tick
            self._studies[one.head.check] = one.study
            self._end = one.start + one.length
        self._size = size

    def _settled(self, check: bytes) -> None:
        study = self._studies.pop(check, None)
        if study is not None:
            del self._waiting[study][check]
            if not self._waiting[study]:
                del self._waiting[study]
