"""Where large objects go while they come in: a file system in memory takes what the router itself needs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from radstream.checks.check import Check, note, well

PART: Final = "router"
NAME: Final = "large objects"
# proc(5), mountinfo: a line for each mount, later ones upon earlier ones; spaces in paths are octal.
_MOUNTS: Final = Path("/proc/self/mountinfo")
_IN_MEMORY: Final = frozenset(("tmpfs", "ramfs"))


def check(folder: Path | None) -> Iterator[Check]:
    """`folder` is [router] objects_folder; None is the system's for temporary files."""
    path = (folder or Path(tempfile.gettempdir())).absolute()
    try:
        kind = _file_system(path)
    except PermissionError:
        yield note(
            PART, NAME, f"{path}, where they go, is not this user's to look at.", "Run this as the router's user."
        )
        return
    except OSError as error:
        yield note(PART, NAME, f"Whether {path}, where they go, is on a disk cannot be seen here ({error.strerror}).")
        return
    if kind in _IN_MEMORY:
        yield note(
            PART,
            NAME,
            f"They go to {path}, which is in memory ({kind}), of which they may take objects_disk_bytes_max.",
            "Set [router] objects_folder to one on a disk that is encrypted as the store's is: beside the spool.",
        )
    else:
        yield well(PART, NAME, f"They go to {path} while they come in ({kind}).")


def _file_system(path: Path) -> str:
    """The type of the file system that a path is on, or would be."""
    while not path.exists():
        path = path.parent
    path = path.resolve()
    kinds: dict[Path, str] = {}
    for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        mount, _, device = line.partition(" - ")
        kinds[Path(mount.split(" ")[4].replace("\\040", " "))] = device.split(" ")[0]
    return next((kinds[parent] for parent in (path, *path.parents) if parent in kinds), "unknown")
