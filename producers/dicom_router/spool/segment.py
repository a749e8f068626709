"""A segment that is written: many append, and one fdatasync serves all that wait for it.

An fsync that failed is never asked again on the same file: the kernel may have marked the pages clean by then, and say
yes to what is lost (PostgreSQL found out in 2018). The segment is closed instead, and a new one is tried.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from producers.dicom_router.spool import places
from producers.dicom_router.spool.record import new_segment

Buffer = bytes | memoryview
Sync = Callable[[int], None]
# Linux writes 0x7ffff000 bytes in one call at most.
_WRITE_BYTES_MAX = 1 << 30


class SegmentFailed(Exception):
    """The disk did not take it, or the segment is closed. What was durable in it before is so still."""


class Segment:
    """Used from many threads; `append` and `close` from one at a time.

    `length` is in bytes, `records` a number; both count what is written, durable or not.
    """

    def __init__(self, path: Path, fdatasync: Sync = os.fdatasync) -> None:
        """Creates the file. Raises OSError."""
        self.path = path
        self.records = 0
        self.length = 0
        self._fdatasync = fdatasync
        self._changed = threading.Condition()
        self._durable = 0
        self._syncing = False
        self._failed = False
        self._open = True
        self._descriptor = places.create(path)
        head, self.id = new_segment()
        try:
            self._write((head,))
        except OSError:
            os.close(self._descriptor)
            path.unlink(missing_ok=True)
            raise

    def append(self, parts: Sequence[Buffer]) -> int:
        """Writes a record; the offset it begins at. Raises SegmentFailed, and nothing of it stays: the segment takes
        no more then, and what others appended before can still become durable.
        """
        with self._changed:
            if not self._open or self._failed:
                raise SegmentFailed
            start = self.length
            try:
                self._write(parts)
            except OSError as error:
                self._open = False
                self.length = start
                # Where the disk does not even cut it off, it is a torn record, which whoever reads cuts off.
                with suppress(OSError):
                    os.ftruncate(self._descriptor, start)
                raise SegmentFailed from error
            self.records += 1
            return start

    def durable(self, end: int) -> None:
        """Returns once everything before `end` is on the disk: by this thread's fdatasync, or by another's that began
        after it was written. Raises SegmentFailed.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._durable >= end or not self._syncing)
                if self._durable >= end:
                    return
                if self._failed:
                    raise SegmentFailed
                self._syncing = True
                reached = self.length
            self._sync(reached)

    def close(self) -> None:
        """Takes no more. Raises SegmentFailed where the disk does not keep what is in it."""
        with self._changed:
            self._open = False
        self.durable(self.length)
        with self._changed:
            if not self._failed:
                self._failed = True
                os.close(self._descriptor)

    def _sync(self, reached: int) -> None:
        try:
            self._fdatasync(self._descriptor)
        except OSError as error:
            with self._changed:
                self._syncing, self._failed = False, True
                # Nobody was promised what is behind this.
                with suppress(OSError):
                    os.ftruncate(self._descriptor, self._durable)
                os.close(self._descriptor)
                self._changed.notify_all()
            raise SegmentFailed from error
        with self._changed:
            self._syncing = False
            self._durable = max(self._durable, reached)
            self._changed.notify_all()

    def _write(self, parts: Sequence[Buffer]) -> None:
        """Writes all of the parts behind what is there. Raises OSError."""
        left = [memoryview(part).cast("B") for part in parts if len(part)]
        while left:
            together = left if sum(map(len, left)) <= _WRITE_BYTES_MAX else [left[0][:_WRITE_BYTES_MAX]]
            written = os.writev(self._descriptor, together)
            self.length += written
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = left[0][written:]
