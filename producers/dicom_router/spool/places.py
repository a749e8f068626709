"""The folders and files of a spool: who owns which, names, modes, and directory entries that are on the disk.

    <folder>/<16 hexadecimal digits>/00000001.segment    written by one process, which has a lock (flock) of its folder
                                     00000001.progress   the checks of its records that are committed
                                     00000002.whole.segment     one large record (`alone`), or one back from aside
                                     00000002.whole.unfinished  what is a large one before all of it is on the disk
    <folder>/aside/                                      what could not be committed, each with its reason
    <folder>/ticks                                       what all processes number their records by (`ticks`)
    <folder>/ballast                                     what is given up for a start on a full disk (`ballast`)

Several processes share a spool's folder, and each drains what it wrote. The folder of one that died is free: whoever
looks first takes it over.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ASIDE: Final = "aside"
BALLAST: Final = "ballast"
SEGMENT, PROGRESS, UNFINISHED = ".segment", ".progress", ".unfinished"
WHOLE: Final = f".whole{SEGMENT}"
FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
_OWNED: Final = re.compile(r"[0-9a-f]{16}\Z")


@dataclass(frozen=True)
class Owned:
    """A folder that this process holds the lock of."""

    path: Path
    descriptor: int

    def let_go(self) -> None:
        """Removes the folder where nothing is left in it, and lets others have it where something is."""
        with suppress(OSError):
            self.path.rmdir()
        os.close(self.descriptor)


def prepare(folder: Path) -> None:
    """Makes the folder and `aside` in it, of mode 700. Raises OSError."""
    made = [path for path in (folder, *folder.parents) if not path.is_dir()]
    # Another process of the router may be as far.
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    for path in made:
        # Also those above it: one that a power cut takes, takes all that is acknowledged below it.
        sync_folder(path.parent)
    (folder / ASIDE).mkdir(mode=FOLDER_MODE, exist_ok=True)
    folder.chmod(FOLDER_MODE)
    sync_folder(folder)


def new_owned(folder: Path) -> Owned:
    """A new folder of this process; its name is behind those of all that are there. Raises OSError."""
    while True:
        last = max((int(path.name, 16) for path in owned_folders(folder)), default=0)
        path = folder / f"{max(time.time_ns(), last + 1):016x}"
        try:
            path.mkdir(mode=FOLDER_MODE)
        except FileExistsError:
            continue
        if (owned := owned_by_us(path)) is not None:
            sync_folder(folder)
            return owned


def free_ones(folder: Path) -> Iterator[Owned]:
    """Locks and gives each folder that no process holds."""
    for path in sorted(owned_folders(folder)):
        if (owned := owned_by_us(path)) is not None:
            yield owned


def owned_folders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if _OWNED.match(path.name)]


def owned_by_us(path: Path) -> Owned | None:
    """The folder, locked; None where another process holds it or it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever had it may have removed it between the two calls.
        if path.stat().st_ino == os.fstat(descriptor).st_ino:
            return Owned(path, descriptor)
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def segments(folder: Path) -> list[Path]:
    """The segments in a folder, oldest first."""
    return sorted(path for path in folder.iterdir() if path.suffix == SEGMENT)


def is_whole(segment: Path) -> bool:
    """Whether all of a segment was on the disk before it had its name: what is wrong with it is never a torn end."""
    return segment.name.endswith(WHOLE)


def create(path: Path) -> int:
    """A new file of mode 600, whose directory entry is on the disk: its descriptor. Raises OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
    try:
        sync_folder(path.parent)
    except OSError:
        os.close(descriptor)
        path.unlink(missing_ok=True)
        raise
    return descriptor


def sync(path: Path) -> None:
    """What a file holds, or which names a folder has, is on the disk when it returns, whoever wrote it. Raises
    OSError."""
    _sync(path, os.O_RDONLY | os.O_CLOEXEC)


def sync_folder(path: Path) -> None:
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def bytes_under(folder: Path, unlisted: Collection[Path] = ()) -> int:
    """How many bytes all files of a spool have, but for its ballast. What vanishes meanwhile counts nothing, nor do
    folders in it that could not be listed, and cannot be. Raises OSError."""
    total, folders, ballast = 0, [folder], str(folder / BALLAST)
    while folders:
        of = folders.pop()
        try:
            entries = list(os.scandir(of))
        except OSError as error:
            if of in unlisted or isinstance(error, FileNotFoundError):
                continue
            raise
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            elif entry.path != ballast:
                total += _size(entry)
    return total


def free_bytes(folder: Path) -> int:
    """How much of the folder's disk this user may write yet. Raises OSError."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
