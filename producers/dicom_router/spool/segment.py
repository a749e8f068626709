"""A segment that is written: many append, and one fdatasync serves all that wait for it.

An fsync that failed is never asked again on the same file: the kernel may have marked the pages clean by then, and say
yes to what is lost (PostgreSQL found out in 2018). The segment is closed instead, and a new one is tried.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from producers.dicom_router.spool import places
from producers.dicom_router.spool.record import new_segment, page_end
from producers.dicom_router.spool.straight import Straight

Buffer = bytes | memoryview
Sync = Callable[[int], None]
# Linux writes 0x7ffff000 bytes in one call at most.
_WRITE_BYTES_MAX = 1 << 30


class SegmentFailed(Exception):
    """The disk did not take it, or the segment is closed. What was durable in it before is so still."""


class Segment:
    """Used from many threads; `append` and `close` from one at a time.

    `length` is in bytes, `records` a number; both count what is written, durable or not. A file that `takes_straight`
    is written past the page cache where its record's head was padded for that (`straight.padding`).
    """

    def __init__(self, path: Path, fdatasync: Sync = os.fdatasync) -> None:
        """Creates the file. Raises OSError, MemoryError."""
        self.path = path
        self.records = 0
        self.length = 0
        self._fdatasync = fdatasync
        self._changed = threading.Condition()
        self._durable = 0
        self._syncing = self._writing = False
        self._failed = False
        self._open = True
        self._descriptor = places.create(path)
        head, self.id = new_segment()
        try:
            self.length = self._write((head,))
        except (OSError, MemoryError):
            os.close(self._descriptor)
            path.unlink(missing_ok=True)
            raise
        self._straight = Straight(path)

    def takes_straight(self, head: int, file: int) -> bool:
        return self._straight.takes(head, file)

    def append_straight(self, head: bytes, file: Buffer) -> int:
        """As `append`, of a record with a padded head, whose file is mapped into memory."""
        start = page_end(self.length)
        with self._appending() as written:
            if self._straight.write(head, memoryview(file).cast("B"), start):
                written.append(page_end(start + len(head) + len(file)))
                return start
        return self.append((head, file))

    def append(self, parts: Sequence[Buffer]) -> int:
        """Writes a record; the offset it begins at. Raises SegmentFailed, and nothing of it stays: the segment takes
        no more then, and what others appended before can still become durable.
        """
        start = self.length
        with self._appending() as written:
            written.append(start + self._write(parts))
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
                self._let_go()

    @contextmanager
    def _appending(self) -> Iterator[list[int]]:
        """A record more, whole or not at all; where it ends is put into the list. Raises SegmentFailed.

        The disk takes it without the lock: who wrote before it asks for durability meanwhile.
        """
        with self._changed:
            if not self._open or self._failed:
                raise SegmentFailed
            self._writing = True
        end: list[int] = []
        try:
            yield end
        except (OSError, MemoryError) as error:
            self._open = False
            # Where the disk does not even cut it off, it is a torn record, which whoever reads cuts off.
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.length)
            raise SegmentFailed from error
        finally:
            self._appended(end)
        if end and self._failed:
            raise SegmentFailed

    def _appended(self, end: list[int]) -> None:
        with self._changed:
            self._writing = False
            if end and not self._failed:
                self.length = end[0]
                self.records += 1
            # Nobody else waits for a write: a burst would wake all who wait for a sync, at each of them.
            if self._failed:
                self._changed.notify_all()

    def _let_go(self) -> None:
        self._straight.close()
        os.close(self._descriptor)

    def _sync(self, reached: int) -> None:
        try:
            self._fdatasync(self._descriptor)
        except OSError as error:
            with self._changed:
                self._syncing, self._failed = False, True
                # Who writes has the descriptors, and learns afterwards that it was for nothing.
                self._changed.wait_for(lambda: not self._writing)
                # Nobody was promised what is behind this.
                with suppress(OSError):
                    os.ftruncate(self._descriptor, self._durable)
                self._let_go()
                self._changed.notify_all()
            raise SegmentFailed from error
        with self._changed:
            self._syncing = False
            self._durable = max(self._durable, reached)
            self._changed.notify_all()

    def _write(self, parts: Sequence[Buffer]) -> int:
        """Writes all of the parts behind what is there, and says how many bytes. Raises OSError."""
        left = [memoryview(part).cast("B") for part in parts if len(part)]
        count = sum(map(len, left))
        while left:
            together = left if sum(map(len, left)) <= _WRITE_BYTES_MAX else [left[0][:_WRITE_BYTES_MAX]]
            written = os.writev(self._descriptor, together)
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = left[0][written:]
        return count
