"""A file without a name on the disk for large objects: gone when nobody has it or its map, or the process ends."""

from __future__ import annotations

import io
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streams.mapped import Mapped
from streams.objects import NoRoom

# Left to others on the disk, who may be the log or the catalog; and the router, which takes no large object where it
# would leave less than 2 GiB of its spool's disk: what comes in goes before what is read.
FREE_BYTES_MIN: Final = 3 << 30
# /tmp is memory on many systems; this is for what is large (FHS 3.0 section 5.15).
_FOLDER: Final = Path("/var/tmp")  # noqa: S108


def new_file(folder: Path | None) -> io.FileIO:
    """In a folder that is made, of mode 700, where it is not there; None is the system's for temporary files. Raises
    OSError."""
    if folder is not None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return tempfile.TemporaryFile(dir=folder, buffering=0)


def folder_or_default(folder: Path | None) -> Path:
    """Where large objects are while they are read: [store] objects_folder, else the system's for what is large."""
    return folder or _FOLDER


class NamelessFile:
    """Written once, and then mapped. Each call may raise NoRoom.

    All its room is taken when it is made: two do not find out half way that there is room for one. It is written with
    `write`: what writes to a map ends the process where the disk is full.
    """

    def __init__(self, folder: Path | None, size: int) -> None:
        self._folder, self._size = folder_or_default(folder), size
        with self._of_the_disk():
            self._file = new_file(self._folder)
        try:
            self._reserve()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """What was mapped stays as long as somebody holds it."""
        self._file.close()

    def write(self, piece: bytes | memoryview) -> None:
        left = memoryview(piece)
        with self._of_the_disk():
            while len(left):
                left = left[os.write(self._file.fileno(), left) :]

    def mapped(self) -> Mapped:
        with self._of_the_disk():
            return Mapped(self._file.fileno(), self._size, prot=mmap.PROT_READ)

    def _reserve(self) -> None:
        with self._of_the_disk():
            state = os.fstatvfs(self._file.fileno())
            if state.f_bavail * state.f_frsize - self._size < FREE_BYTES_MIN:
                raise OSError(f"{FREE_BYTES_MIN >> 20} MiB of the disk are left free")
            os.posix_fallocate(self._file.fileno(), 0, self._size)

    @contextmanager
    def _of_the_disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise NoRoom(
                f"{self._folder} has no room for an object of {self._size >> 20} MiB ({error.strerror or error}): "
                "make room there, or set [store] objects_folder"
            ) from error
