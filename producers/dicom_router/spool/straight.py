"""Records that go from memory to the disk past the page cache (`O_DIRECT`, open(2)).

What is large is read once, by the drain, and deleted: its copy in the page cache costs more than all else of it. The
disk takes whole pages, from memory that begins where a page does; so what is before the first page of the file in
memory, and what is behind its last, is put into pages of our own. Such a record begins with a page of the segment, and
zeros follow it up to the next.
"""

from __future__ import annotations

import errno
import mmap
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from producers.dicom_router.spool.record import PAGE_BYTES, page_end

# Below, a disk that is waited for costs as much as the copy. Above, it is no matter of the page cache alone.
_BYTES_MIN: Final = 256 << 10
_BYTES_MAX: Final = 1 << 30
_HEAD_PAGES: Final = 3


class Straight:
    """Writes into one file; by one thread at a time. Where its file system has no such writes, nothing is taken."""

    def __init__(self, path: Path) -> None:
        self._descriptor: int | None = None
        self._first = self._last = memoryview(b"")
        # Nor where there is no memory or no descriptor to be had.
        with suppress(OSError):
            pages = memoryview(mmap.mmap(-1, (_HEAD_PAGES + 1) * PAGE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
            self._first, self._last = pages[:-PAGE_BYTES], pages[-PAGE_BYTES:]
            self._descriptor = os.open(path, os.O_WRONLY | os.O_DIRECT | os.O_CLOEXEC)

    def takes(self, head: int, file: int) -> bool:
        """Whether it is for a record of so many bytes, without padding."""
        fits = head <= (_HEAD_PAGES - 1) * PAGE_BYTES
        return self._descriptor is not None and fits and _BYTES_MIN <= file <= _BYTES_MAX

    def write(self, head: bytes, file: memoryview, at: int) -> bool:
        """Writes a record that it `takes`, with its head as long as `padding` says, where a page begins; False where
        the file system does not. Raises OSError where the disk fails, also half way."""
        if self._descriptor is None:
            return False
        before = -len(head) % PAGE_BYTES
        first = len(head) + before
        self._first[: len(head)] = head
        self._first[len(head) : first] = file[:before]
        after = before + (len(file) - before) // PAGE_BYTES * PAGE_BYTES
        rest = len(file) - after
        self._last[:rest] = file[after:]
        self._last[rest:] = bytes(PAGE_BYTES - rest)
        parts = [self._first[:first], file[before:after], self._last[: page_end(rest)]]
        return self._put(self._descriptor, parts, at)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None

    def _put(self, descriptor: int, parts: list[memoryview], at: int) -> bool:
        try:
            written = os.pwritev(descriptor, parts, at)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
                raise
            # Some file systems say so only here.
            self.close()
            return False
        if written != sum(map(len, parts)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return True


def padding(head: int, in_page: int) -> int:
    """How many bytes a head of so many is to have more, for a file that begins `in_page` bytes behind the beginning of
    a page of memory."""
    return (in_page - head) % PAGE_BYTES
