"""Where large objects are while they come in, and while services read them: not in memory, which is what they spare."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from radstream.checks.check import Check, note, well
from streams.nameless_file import FREE_BYTES_MIN, folder_or_default
from streams.reading_large import LARGE_BYTES

NAME: Final = "large objects"
# proc(5), mountinfo: a line for each mount, later ones upon earlier ones; spaces in paths are octal.
_MOUNTS: Final = Path("/proc/self/mountinfo")
_IN_MEMORY: Final = frozenset(("tmpfs", "ramfs"))


@dataclass(frozen=True)
class _Use:
    """Whose folder it is, `when` objects are there, how `much` they take, and `where` on a disk it had better be.

    With less than `free` bytes there is room for none.
    """

    part: str
    user: str
    when: str
    much: str
    where: str
    free: int = 0


_COMING_IN: Final = _Use(
    "router",
    "the router's user",
    "while they come in",
    "of which they may take objects_disk_bytes_max",
    "beside the spool",
)
_READ: Final = _Use(
    "store",
    "the services' user",
    "while services read them",
    "of which each takes its size",
    "with room for several",
    FREE_BYTES_MIN + LARGE_BYTES,
)


def check_coming_in(folder: Path | None) -> Iterator[Check]:
    """`folder` is [router] objects_folder; None is the system's for temporary files."""
    yield from _looked(_COMING_IN, folder or Path(tempfile.gettempdir()))


def check_read(folder: Path | None) -> Iterator[Check]:
    """`folder` is [store] objects_folder; None is the system's for what is large."""
    yield from _looked(_READ, folder_or_default(folder))


def _looked(use: _Use, folder: Path) -> Iterator[Check]:
    path = folder.absolute()
    try:
        there = _nearest(path)
        kind = _file_system(there)
        free = shutil.disk_usage(there).free
    except PermissionError:
        yield note(use.part, NAME, f"{path}, where they go, is not this user's to look at.", f"Run this as {use.user}.")
        return
    except OSError as error:
        seen = f"Whether {path}, where they go, is on a disk cannot be seen here ({error.strerror})."
        yield note(use.part, NAME, seen)
        return
    if kind in _IN_MEMORY:
        yield note(
            use.part,
            NAME,
            f"They go to {path}, which is in memory ({kind}), {use.much}.",
            f"Set [{use.part}] objects_folder to one on a disk that is encrypted as the store's is: {use.where}.",
        )
    elif not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        yield note(
            use.part,
            NAME,
            f"They go to {path}, which this user may not write to.",
            f"Run this as {use.user}, or set [{use.part}] objects_folder to one on a disk that it may write to.",
        )
    elif free < use.free:
        yield note(
            use.part,
            NAME,
            f"They go to {path}, where {free >> 20} MiB are free: there is room for none, and each is waited for.",
            f"Make room there, or set [{use.part}] objects_folder to one on a disk {use.where}.",
        )
    else:
        yield well(use.part, NAME, f"They go to {path} {use.when} ({kind}).")


def _nearest(path: Path) -> Path:
    """The folder itself, or the one that it would be made in."""
    while not path.exists():
        path = path.parent
    return path.resolve()


def _file_system(path: Path) -> str:
    """The type of the file system that a folder is on."""
    kinds: dict[Path, str] = {}
    for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        mount, _, device = line.partition(" - ")
        kinds[Path(mount.split(" ")[4].replace("\\040", " "))] = device.split(" ")[0]
    return next((kinds[parent] for parent in (path, *path.parents) if parent in kinds), "unknown")
