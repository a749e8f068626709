"""The spool of one router process: what is appended is durable when `append` returns, and waits to be committed.

The process writes into a folder of its own, and drains besides what other processes left that are gone.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from producers.dicom_router.spool import aside, places, progress
from producers.dicom_router.spool.order import Entry, Shelf, Waiting
from producers.dicom_router.spool.places import Owned
from producers.dicom_router.spool.reading import Found, read
from producers.dicom_router.spool.record import METADATA_BYTES_MAX, Kept, NotARecord, encoded, packed, unpacked
from producers.dicom_router.spool.recovery import recovered, take_over
from producers.dicom_router.spool.room import Limits, Room, try_disk
from producers.dicom_router.spool.segment import Buffer, Segment, SegmentFailed, Sync
from streams import metrics

_DISK = "the spool's disk does not keep what is written; see the machine's log"
_FULL = "the spool's disk is full"


class NotSpooled(Exception):
    """The spool does not take it; nothing of it stays. `reason` is a sentence without patient data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Incoming:
    """What is to be kept: the file that is `parts` together, in bytes, and its SHA-256."""

    kept: Kept
    received_ms: int
    digest: bytes
    parts: Sequence[Buffer]

    @property
    def size(self) -> int:
        return sum(map(len, self.parts))


@dataclass(frozen=True)
class _Active:
    segment: Segment
    shelf: Shelf


class Spool:
    """Used from many threads; `open` and `look` from one."""

    def __init__(self, folder: Path, limits: Limits, segment_bytes: int, fdatasync: Sync = os.fdatasync) -> None:
        self.folder = folder
        self.waiting = Waiting()
        self._segment_bytes = segment_bytes
        self._fdatasync = fdatasync
        self._room = Room(folder, limits)
        self._writing = threading.Lock()
        self._knowing = threading.Lock()
        self._known: dict[bytes, Entry] = {}
        self._active: _Active | None = None
        self._own: Owned | None = None
        self._left: list[Owned] = []
        self._numbers = 0
        self._appended = self._appended_before = 0
        self._disk_fails: str | None = None
        self._closed = False

    def open(self) -> None:
        """Takes over what is left of processes that are gone, and what stands aside. Raises OSError."""
        places.prepare(self.folder)
        aside.remove_unfinished(self.folder)
        self._adopt()
        for record in aside.records(self.folder):
            path = self._next_path()
            if aside.take_back(record, path):
                self._recover(path)
        self._room.look()

    def append(self, incoming: Incoming) -> None:
        """Durable when it returns. The parts are not referred to afterwards. Raises NotSpooled.

        Where the disk fails, another segment is tried, once.
        """
        metadata = encoded(incoming.kept)
        if len(metadata) > METADATA_BYTES_MAX:
            raise NotSpooled("the request has UIDs of more text than any UID has")
        for _ in range(2):
            try:
                entry = self._append(incoming, metadata)
            except (SegmentFailed, OSError) as error:
                failure = error.__cause__ or error
                structlog.get_logger().error("spool_segment_failed", error=failure)
                full = isinstance(failure, OSError) and failure.errno in (errno.ENOSPC, errno.EDQUOT)
                self._disk_fails = _FULL if full else _DISK
                continue
            with self._knowing:
                self._known[incoming.digest] = entry
            self.waiting.put(entry)
            self._disk_fails = None
            metrics.SPOOL_APPENDED.inc()
            return
        raise NotSpooled(self._disk_fails or _DISK)

    def repeated(self, digest: bytes) -> bool:
        """Whether the same bytes wait already, whole: they are then published once more when they are committed."""
        with self._knowing:
            entry = self._known.get(digest)
        if entry is None:
            return False
        try:
            read(entry.shelf.path, entry.found)
        except (NotARecord, OSError):
            return False
        with self._knowing:
            if self._known.get(digest) is not entry:
                return False
            entry.again += 1
        return True

    def once_more(self, entry: Entry) -> bool:
        """Whether the same bytes came since, for which the event is to be published again."""
        with self._knowing:
            if entry.again:
                entry.again -= 1
                return True
            if self._known.get(entry.found.head.digest) is entry:
                del self._known[entry.found.head.digest]
            return False

    def settled(self, entry: Entry) -> None:
        """An entry that was taken is committed, or stands aside. Its segment goes with the last of it."""
        # Without the mark it is committed again after a restart, which is harmless.
        with suppress(OSError):
            progress.mark(entry.shelf.path, entry.found.head.check)
        self.waiting.done(entry)
        self._give_up(entry.shelf)

    def stuck(self, entry: Entry) -> None:
        """An entry that can be neither committed nor set aside: its segment stays, until the next start."""
        self.waiting.done(entry)

    def look(self) -> str | None:
        """What is to be done every second. Why the spool does not take another segment, or None."""
        self._seal_if_idle()
        with suppress(OSError):
            self._adopt()
        self._room.look()
        if self._disk_fails:
            with suppress(OSError):
                try_disk(self.folder)
                self._disk_fails = None
        return self._disk_fails or self._room.refusal(self._segment_bytes, self.waiting.count)

    def close(self) -> None:
        """Takes no more; what waits is for the next start, or for another process."""
        with self._writing:
            self._closed = True
            self._seal()
            for owned in (self._own, *self._left):
                if owned is not None:
                    owned.let_go()
            self._own, self._left = None, []

    @property
    def used_bytes(self) -> int:
        return self._room.used_bytes

    def _append(self, incoming: Incoming, metadata: bytes) -> Entry:
        with self._writing:
            active = self._writable(incoming.size)
            segment, shelf = active.segment, active.shelf
            of_file = (incoming.received_ms, incoming.digest, incoming.size)
            head = packed(segment.id, segment.records, *of_file, metadata)
            try:
                start = segment.append((head, *incoming.parts))
            except SegmentFailed:
                self._seal()
                raise
            found = Found(start, unpacked(head, segment.id), incoming.kept.study)
            with self._knowing:
                shelf.waiting += 1
            self._room.take(found.length)
            self._appended += 1
        try:
            segment.durable(found.start + found.length)
        except SegmentFailed:
            with self._writing:
                if self._active is active:
                    self._seal()
            self._give_up(shelf)
            raise
        return Entry(shelf, found)

    def _writable(self, size: int) -> _Active:
        """The segment to append to. Raises NotSpooled, and OSError where there cannot be one."""
        if self._closed:
            raise NotSpooled("the router stops")
        if why := self._room.refusal(size, self.waiting.count):
            raise NotSpooled(why)
        if self._active is not None and self._active.segment.length + size > self._segment_bytes:
            self._seal()
        if self._active is None:
            path = self._next_path()
            self._active = _Active(Segment(path, self._fdatasync), Shelf(path))
        return self._active

    def _next_path(self) -> Path:
        """Of a new segment in this process's own folder, which is made with the first. Raises OSError."""
        if self._own is None:
            self._own = places.new_owned(self.folder)
        self._numbers += 1
        return self._own.path / f"{self._numbers:08}{places.SEGMENT}"

    def _seal(self) -> None:
        """The active segment takes no more; it goes once all in it is committed."""
        active, self._active = self._active, None
        if active is None:
            return
        # Those who wait for it learn of a failure themselves.
        with suppress(SegmentFailed):
            active.segment.close()
        with self._knowing:
            active.shelf.sealed = True
            empty = not active.shelf.waiting
        if empty:
            _delete(active.shelf)

    def _seal_if_idle(self) -> None:
        """Patient data do not stay on the disk when nothing waits."""
        with self._writing:
            if self._active is not None and not self._active.shelf.waiting and self._appended == self._appended_before:
                self._seal()
            self._appended_before = self._appended

    def _give_up(self, shelf: Shelf) -> None:
        with self._knowing:
            shelf.waiting -= 1
            empty = shelf.sealed and not shelf.waiting
        if empty:
            _delete(shelf)

    def _adopt(self) -> None:
        """Takes over the folders of processes that are gone, and removes those that are empty by now."""
        for owned, paths in take_over(self.folder):
            self._left.append(owned)
            for path in paths:
                self._recover(path)
        for owned in [one for one in self._left if not any(one.path.iterdir())]:
            self._left.remove(owned)
            owned.let_go()

    def _recover(self, path: Path) -> None:
        try:
            shelf, entries = recovered(self.folder, path)
        except OSError as error:
            # It stays where it is, for the next start; the others are as good as ever.
            structlog.get_logger().error("spool_unreadable", error=error, file=path.name)
            return
        for entry in entries:
            with self._knowing:
                self._known.setdefault(entry.found.head.digest, entry)
            self.waiting.put(entry)
        if not shelf.waiting:
            _delete(shelf)


def _delete(shelf: Shelf) -> None:
    with suppress(OSError):
        shelf.path.unlink(missing_ok=True)
        progress.beside(shelf.path).unlink(missing_ok=True)
