"""Where the spool of one process is written: one segment after another, in a folder of the process's own."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from producers.dicom_router.spool import places
from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.places import Owned
from producers.dicom_router.spool.reading import Found
from producers.dicom_router.spool.record import METADATA_BYTES_MAX, Kept, encoded, packed, unpacked
from producers.dicom_router.spool.room import Room
from producers.dicom_router.spool.segment import Buffer, Segment, SegmentFailed, Sync
from producers.dicom_router.spool.shelf import Shelf
from producers.dicom_router.spool.ticks import Ticks


class NotSpooled(Exception):
    """The spool does not take it; nothing of it stays. `reason` is a sentence without patient data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Incoming:
    """What is to be kept: the file that is `parts` together, and its SHA-256."""

    kept: Kept
    received_ms: int
    digest: bytes
    parts: Sequence[Buffer]

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(map(len, self.parts))


@dataclass(frozen=True)
class _Active:
    segment: Segment
    shelf: Shelf


class Writing:
    """Used from many threads."""

    def __init__(
        self, folder: Path, room: Room, segment_bytes: int, ticks: Ticks, fdatasync: Sync = os.fdatasync
    ) -> None:
        self._folder = folder
        self._ticks = ticks
        self._room = room
        self._segment_bytes = segment_bytes
        self._fdatasync = fdatasync
        self._lock = threading.Lock()
        self._active: _Active | None = None
        self._own: Owned | None = None
        self._numbers = 0
        self._appended = self._appended_before = 0
        self._closed = False

    def append(self, incoming: Incoming, waiting: int) -> Entry:
        """Durable when it returns; `waiting` instances are there already. Raises NotSpooled, and SegmentFailed or
        OSError where the disk fails: another segment may be tried."""
        with self._lock:
            # Here, so that ticks are in the order of the file.
            kept = msgspec.structs.replace(incoming.kept, tick=self._ticks.next())
            metadata = encoded(kept)
            if len(metadata) > METADATA_BYTES_MAX:
                raise NotSpooled("the request has UIDs of more text than any UID has")
            active = self._writable(incoming.size, waiting)
            found = self._write(active, incoming, metadata, kept.tick)
        try:
            active.segment.durable(found.start + found.length)
        except SegmentFailed:
            with self._lock:
                if self._active is active:
                    self._seal()
            active.shelf.drop()
            raise
        return Entry(active.shelf, found)

    def own(self) -> Path:
        """This process's own folder, which is made when it is asked for first. Raises OSError."""
        if self._own is None:
            self._own = places.new_owned(self._folder)
        return self._own.path

    def next_path(self) -> Path:
        """Of a new segment in this process's own folder. Raises OSError."""
        own = self.own()
        self._numbers += 1
        return own / f"{self._numbers:08}{places.SEGMENT}"

    def seal_if_idle(self) -> None:
        """To be called now and then: patient data do not stay on the disk when nothing waits."""
        with self._lock:
            if self._active is not None and not self._active.shelf.waiting and self._appended == self._appended_before:
                self._seal()
            self._appended_before = self._appended

    def close(self) -> None:
        """Takes no more."""
        with self._lock:
            self._closed = True
            self._seal()
            if self._own is not None:
                self._own.let_go()
            self._own = None

    def _writable(self, size: int, waiting: int) -> _Active:
        if self._closed:
            raise NotSpooled("the router stops")
        if why := self._room.refusal(size, waiting):
            raise NotSpooled(why)
        if self._active is not None and self._active.segment.length + size > self._segment_bytes:
            self._seal()
        if self._active is None:
            path = self.next_path()
            self._active = _Active(Segment(path, self._fdatasync), Shelf(path))
        return self._active

    def _write(self, active: _Active, incoming: Incoming, metadata: bytes, tick: int) -> Found:
        segment = active.segment
        of_file = (incoming.received_ms, incoming.digest, incoming.size)
        head = packed(segment.id, segment.records, *of_file, metadata)
        try:
            start = segment.append((head, *incoming.parts))
        except SegmentFailed:
            self._seal()
            raise
        active.shelf.add()
        found = Found(start, unpacked(head, segment.id), incoming.kept.study, tick, incoming.kept.lane)
        self._room.take(found.length)
        self._appended += 1
        return found

    def _seal(self) -> None:
        """The active segment takes no more; it goes once all in it is committed."""
        active, self._active = self._active, None
        if active is None:
            return
        # Those who wait for it learn of a failure themselves.
        with suppress(SegmentFailed):
            active.segment.close()
        active.shelf.seal()
