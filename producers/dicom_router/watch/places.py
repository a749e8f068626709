"""Where a file of the watched folder is, and where it goes.

Names of files may be names of patients: no log has them, and no reason file.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

DONE: Final = "done"
FAILED: Final = "failed"
_OURS: Final = frozenset((DONE, FAILED))
_REASON: Final = ".reason.txt"
_LOCK: Final = ".radstream"
# So many files are looked at in one look; what is behind them has its turn when they are settled.
FILES_MAX: Final = 10_000


@dataclass(frozen=True)
class Seen:
    """A regular file, as it was when it was looked at. What changes in it changes this."""

    path: Path
    size: int
    changed_ns: int
    inode: int


class Places:
    """The folder and its subfolders. Raises OSError where they cannot be had."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in (DONE, FAILED):
            (folder / name).mkdir(exist_ok=True)
            if (folder / name).stat().st_dev != folder.stat().st_dev:
                raise OSError(0, f"{name} is on another file system, where files cannot be moved to in one step")
        self._lock = os.open(folder / DONE / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._try_lock()

    def mine(self) -> bool:
        """Whether no other router watches it: while a new version takes over, there are two."""
        with suppress(OSError):
            return self._try_lock()
        return False

    def files(self) -> Iterator[Seen]:
        """Regular files, but hidden ones: programs that copy write into those first. Links are not followed."""
        for parent, folders, names in os.walk(self.folder):
            top = Path(parent) == self.folder
            folders[:] = sorted(name for name in folders if not name.startswith(".") and not (top and name in _OURS))
            for name in sorted(names):
                if not name.startswith(".") and (seen := look(Path(parent, name))) is not None:
                    yield seen

    def done(self, path: Path) -> None:
        """Raises OSError."""
        path.rename(self._free(DONE, path))

    def failed(self, path: Path, reason: str) -> None:
        """The reason is there before the file. Raises OSError."""
        target = self._free(FAILED, path)
        target.with_name(target.name + _REASON).write_text(f"{reason}\n", encoding="utf-8")
        path.rename(target)

    def close(self) -> None:
        os.close(self._lock)

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _free(self, name: str, path: Path) -> Path:
        """A path that nothing has, as near to the file's own as there is."""
        wanted = self.folder / name / path.relative_to(self.folder)
        wanted.parent.mkdir(parents=True, exist_ok=True)
        free = wanted
        for number in count(2):
            if not os.path.lexists(free):
                break
            free = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        return free


def look(path: Path) -> Seen | None:
    """The file as it is now; None where it is no regular file, or not there any more."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return Seen(path, found.st_size, found.st_mtime_ns, found.st_ino) if stat.S_ISREG(found.st_mode) else None
