"""A file that is there to be deleted: by it a router starts on a full disk, and makes room there by draining.

A start needs a folder of its own and a few notes, so a block or an inode, before anything can be drained.

    <folder>/ballast    1 MiB, of no process: all see to it that it is there, and who cannot start removes it

Nobody locks it. Two that make it write the same file; what is removed while it is written is made again a second later.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from producers.dicom_router.spool import places

BYTES: Final = 1 << 20


def missing_bytes(folder: Path) -> int:
    """What it lacks: on a disk that fills, nobody's images are to have that."""
    try:
        return max(BYTES - (folder / places.BALLAST).stat().st_size, 0)
    except FileNotFoundError:
        return BYTES


def keep(folder: Path, free_bytes_min: int) -> None:
    """Makes it, durably, where it lacks something and the disk has room for it. Raises OSError, and there is none then.

    As much again is to be free: else it would take what was made free by removing it from whoever is about to start.
    """
    if not missing_bytes(folder) or places.free_bytes(folder) - 2 * BYTES < free_bytes_min:
        return
    path = folder / places.BALLAST
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        with os.fdopen(os.open(path, flags, places.FILE_MODE), "wb") as file:
            # Zeros would take no room on a file system that compresses.
            file.write(secrets.token_bytes(BYTES))
            file.flush()
            os.fsync(file.fileno())
        places.sync_folder(folder)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def release(folder: Path) -> None:
    """Removes it, where there is one: its room can be had when this returns. Raises OSError."""
    (folder / places.BALLAST).unlink(missing_ok=True)
    # A journal gives blocks away only once it has noted that they are free.
    places.sync_folder(folder)
