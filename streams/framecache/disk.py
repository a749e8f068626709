"""Pictures in a folder, the ones that were asked for last. Several processes may share it."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

# This part of the bytes is thrown away, and may be added, at once: the folder is not listed for every picture.
_LISTED_EVERY = 0.1
_PART = ".part"


class DiskTier:
    """Holds at most `bytes_max`, and for each other process that writes there up to a tenth more.

    Nothing here raises: a folder that cannot be read or written holds nothing.
    """

    name = "disk"

    def __init__(self, folder: Path, bytes_max: int) -> None:
        self._folder, self._bytes_max = folder, bytes_max
        self._lock = threading.Lock()
        # Bytes that this process may add before it looks again at what all have written; at first it has not looked.
        self._room = 0

    def get(self, key: str) -> bytes | None:
        path = self._path(key)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return data

    def put(self, key: str, data: bytes) -> None:
        if len(data) > self._bytes_max:
            return
        with contextlib.suppress(OSError):
            self._make_room(len(data))
            self._write(self._path(key), data)

    def drop(self, key: str) -> None:
        with contextlib.suppress(OSError):
            self._path(key).unlink()

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key

    def _write(self, path: Path, data: bytes) -> None:
        """All of it or nothing under its name. Not synced: what a power cut takes is rendered again."""
        # Pictures may show names: they are for the user alone under whom the service runs.
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        handle, part = tempfile.mkstemp(suffix=_PART, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(part).replace(path)
        except OSError:
            Path(part).unlink(missing_ok=True)
            raise

    def _make_room(self, size: int) -> None:
        with self._lock:
            self._room -= size
            if self._room >= 0:
                return
            kept = self._evicted(self._bytes_max - size)
            self._room = min(self._bytes_max - size - kept, int(self._bytes_max * _LISTED_EVERY))

    def _evicted(self, bytes_max: int) -> int:
        """Throws away what was not asked for the longest, if need be; the bytes that are left."""
        found = sorted(self._listed())
        total = sum(size for _, size, _ in found)
        if total <= bytes_max:
            return total
        wanted = min(bytes_max, int(self._bytes_max * (1 - _LISTED_EVERY)))
        for _, size, path in found:
            if total <= wanted:
                break
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size
        return total

    def _listed(self) -> Iterator[tuple[int, int, Path]]:
        """When each was last asked for, its size, and where it is; also halves that a crash left."""
        for folder in self._folder.glob("[0-9a-f][0-9a-f]"):
            with contextlib.suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    with contextlib.suppress(OSError):
                        state = entry.stat(follow_symlinks=False)
                        yield state.st_mtime_ns, state.st_size, Path(entry.path)
