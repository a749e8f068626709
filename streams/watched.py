"""A value that stands in files, and is read anew when they change. What cannot be used changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from streams import metrics
from streams.config import ConfigError

T = TypeVar("T")
# By file: time of change, size and number of the file; None where there is none.
_Stamps = tuple[tuple[int, int, int] | None, ...]


class Watched(Generic[T]):
    """`value` is what was read last that could be used; `problem` says why the files as they are now cannot be.

    `name` is for logs and metrics. A symbolic link counts as what it leads to. `look` is called from one thread, about
    once a second; `value` may be read from any.
    """

    def __init__(self, name: str, files: Sequence[Path], read: Callable[[], T]) -> None:
        """Raises ConfigError: a start with files that cannot be used is none."""
        self._name = name
        self._files = tuple(files)
        self._read = read
        self._read_at = self._seen = self._stamps()
        self.value = read()
        self.problem: str | None = None
        metrics.FILES_READ.labels(name, "used").inc()

    def look(self) -> None:
        """Reads the files where they changed and have stood still since the last look."""
        stamps = self._stamps()
        if stamps != self._seen or stamps == self._read_at:
            # Still being written, or a pair of which only one is there yet.
            self._seen = stamps
            return
        self._read_at = stamps
        log = structlog.get_logger()
        try:
            self.value = self._read()
        except ConfigError as error:
            self.problem = str(error)
            metrics.FILES_READ.labels(self._name, "refused").inc()
            log.error("files_cannot_be_used", what=self._name, problem=self.problem, kept="what was read before")
            return
        self.problem = None
        metrics.FILES_READ.labels(self._name, "used").inc()
        log.info("files_read_anew", what=self._name)

    def _stamps(self) -> _Stamps:
        return tuple(_stamp(path) for path in self._files)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
