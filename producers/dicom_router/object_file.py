"""An object that memory has no room for: a file without a name, that is gone when it is closed or the process ends.

It is written with `write`, so that a full disk is an error of one object; a mapping that is written to would end the
process. What it holds is then mapped, for reading: pages that the kernel may take back at any time.
"""

from __future__ import annotations

import errno
import mmap
import os
from contextlib import suppress
from pathlib import Path

from producers.dicom_router.object_buffer import Budget
from producers.dicom_router.spool.config import Settings
from producers.dicom_router.spool.room import disk_is_full
from streams.config import ConfigError
from streams.nameless_file import new_file


def made(folder: Path | None) -> Path | None:
    """The folder for such files, made where it is not there, of mode 700. Raises ConfigError.

    A disk that is full ends no router: what waits on its spool is drained, and large objects are told 0xA700 meanwhile.
    """
    if folder is None:
        return None
    try:
        new_file(folder).close()
    except OSError as error:
        if not disk_is_full(error):
            raise ConfigError(
                f"[router] objects_folder {folder} cannot be used ({error.strerror}): "
                "set it to one on a disk with room, that the router may write"
            ) from None
    return folder


def left_free(folder: Path | None, spool: Settings) -> int:
    """How many bytes of its disk large objects leave free, where that is the spool's too.

    Twice what the spool leaves: where room gets short, they are refused before the small images are.
    """
    if folder is None or spool.folder is None or _device(folder) != _device(spool.folder):
        return 0
    return 2 * spool.free_bytes_min


def _device(folder: Path) -> int:
    """Of the disk that a folder is on, or would be."""
    return next(path for path in (folder, *folder.parents) if path.is_dir()).stat().st_dev


class ObjectFile:
    """Used by one thread. Each call may raise OSError; a budget that is spent is one, too."""

    def __init__(self, folder: Path | None, budget: Budget, free_bytes_min: int = 0) -> None:
        """`folder` is the system's for temporary files where it is None; `free_bytes_min` is left free of its disk."""
        # A start on a full disk made no folder: that is made here, once there is room for it.
        self._file = new_file(folder)
        self._budget = budget
        self._free_bytes_min = free_bytes_min
        self._size = 0
        self._map: mmap.mmap | None = None

    def append(self, data: memoryview) -> None:
        if not self._budget.take(len(data)):
            raise OSError("the budget for large objects on disk is spent")
        self._size += len(data)
        state = os.fstatvfs(self._file.fileno())
        if state.f_bavail * state.f_frsize - len(data) < self._free_bytes_min:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        while len(data):
            data = data[os.write(self._file.fileno(), data) :]

    def overwrite(self, data: bytes, at: int) -> None:
        """Raises OSError also where it was cut short."""
        if os.pwrite(self._file.fileno(), data, at) != len(data):
            raise OSError("the disk took a part")

    def view(self) -> memoryview:
        """All that was appended. Nothing is appended any more."""
        if self._map is None:
            self._map = mmap.mmap(self._file.fileno(), self._size, prot=mmap.PROT_READ)
        return memoryview(self._map)

    def close(self) -> None:
        """Where somebody still holds a view, the file goes with that."""
        if self._map is not None:
            with suppress(BufferError):
                self._map.close()
        self._file.close()
        self._budget.give_back(self._size)
        self._size = 0
