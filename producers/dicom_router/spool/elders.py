"""What waits on the spools of processes that were here before this one and have not ended: theirs to commit, and first.

While a newer router takes over from an older one, both have folders. An instance that comes to the newer one must not
overtake those of its study that wait on the older one's. Only the younger looks at the elder, so neither waits for the
other for ever.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path

from producers.dicom_router.spool import places, progress
from producers.dicom_router.spool.reading import walk
from producers.dicom_router.spool.record import SEGMENT_HEAD_BYTES


class Elders:
    """Used from many threads. `own` is this process's folder. Raises OSError."""

    def __init__(self, folder: Path, own: Path) -> None:
        self._lock = threading.Lock()
        self._folders = {path: _Folder(path) for path in places.elder_than(folder, own)}

    def hold(self, study: str) -> bool:
        """Whether an elder has something of that study to commit yet: as it is now, for whoever was acknowledged by it.

        An instance without a study is in order with nothing.
        """
        if not self._folders or not study:
            return False
        with self._lock:
            gone = [path for path, folder in self._folders.items() if not folder.look()]
            for path in gone:
                del self._folders[path]
            return any(study in folder.studies for folder in self._folders.values())

    def taken_over(self, path: Path) -> None:
        """What waited there waits here now."""
        with self._lock:
            self._folders.pop(path, None)


class _Folder:
    """`studies` are those of which something waits in it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._segments: dict[Path, _Segment] = {}
        self.studies: set[str] = set()
        self.look()

    def look(self) -> bool:
        """Reads what changed. False where the folder is gone: all of it is committed."""
        try:
            paths = places.segments(self._path)
        except FileNotFoundError:
            return False
        except OSError:
            return True  # What was known of it is held until it can be read again.
        self._segments = {path: self._segments.get(path) or _Segment(path) for path in paths}
        for segment in self._segments.values():
            segment.look()
        self.studies = set().union(*(segment.studies for segment in self._segments.values()))
        return True


@dataclass
class _Segment:
    """A segment that another process writes, reads and removes."""

    path: Path
    studies: set[str] = field(default_factory=set)
    _bytes: tuple[int, int] = (-1, -1)
    _records: list[tuple[bytes, str]] = field(default_factory=list)
    _end: int = SEGMENT_HEAD_BYTES

    def look(self) -> None:
        """Goes through what was appended, and through what was marked as committed, since the last look."""
        try:
            size = self.path.stat().st_size
            marks = progress.beside(self.path)
            marked = marks.stat().st_size if marks.exists() else 0
            if (size, marked) == self._bytes:
                return
            if size != self._bytes[0] and (found := walk(self.path, self._end).found):
                self._records += [(one.head.check, one.study) for one in found]
                self._end = found[-1].start + found[-1].length
            done = progress.marked(self.path)
        except FileNotFoundError:
            # It goes with the last of it that was committed.
            self.studies = set()
            return
        except OSError:
            return
        self._bytes = (size, marked)
        self.studies = {study for check, study in self._records if check not in done}
