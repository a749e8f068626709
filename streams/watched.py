"""A value that stands in files, and is read anew when they change. What cannot be used changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from streams import metrics
from streams.config import ConfigError

T = TypeVar("T")
# By file: when its content changed, when anything of it did, size and number of the file; None where there is none.
_Stamps = tuple[tuple[int, int, int, int] | None, ...]


class Watched(Generic[T]):
    """`value` is what was read last that could be used; `problem` says why the files as they are now cannot be.

    `name` is for logs, metrics and warnings. A symbolic link counts as what it leads to. `look` is called from one
    thread, about once a second; `value` may be read from any.
    """

    def __init__(self, name: str, files: Sequence[Path], read: Callable[[], T]) -> None:
        """Raises ConfigError: a start with files that cannot be used is none."""
        self.name = name
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
            self._refused(str(error))
            return
        except Exception as error:
            # Nobody planned this one. The service goes on with what it has: who wrote the file did not mean to end it.
            log.error("files_not_read", what=self.name, exc_info=True)
            where = "files_not_read in the log says where"
            self._refused(f"{self._files[0]}: it cannot be read ({type(error).__name__}; {where})")
            return
        self.problem = None
        metrics.FILES_READ.labels(self.name, "used").inc()
        log.info("files_read_anew", what=self.name)

    def _refused(self, problem: str) -> None:
        self.problem = problem
        metrics.FILES_READ.labels(self.name, "refused").inc()
        structlog.get_logger().error(
            "files_cannot_be_used", what=self.name, problem=problem, kept="what was read before"
        )

    def _stamps(self) -> _Stamps:
        return tuple(_stamp(path) for path in self._files)


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    """A change of owner or mode shows, too: it may be what a file lacked."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
