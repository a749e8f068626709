"""Where the spool of one process is written: one segment after another, in a folder of the process's own.

What is small goes together; what is large has a segment of its own beside those (`alone`). The lock is held while a
small image is written, and never while a disk is asked to keep something that is there already.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from producers.dicom_router.spool import alone, places
from producers.dicom_router.spool.incoming import Incoming, NotSpooled
from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.places import Owned
from producers.dicom_router.spool.record import (
    HEAD_BYTES,
    METADATA_BYTES_MAX,
    SEGMENT_HEAD_BYTES,
    Kept,
    encoded,
    packed,
)
from producers.dicom_router.spool.room import Room
from producers.dicom_router.spool.segment import Segment, SegmentFailed, Sync
from producers.dicom_router.spool.segment_bytes import Found
from producers.dicom_router.spool.shelf import Shelf
from producers.dicom_router.spool.straight import padding
from producers.dicom_router.spool.ticks import Ticks

_STOPS: Final = "the router stops"


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
        self._alone_bytes = min(segment_bytes, alone.ALONE_BYTES)
        self._lock = threading.Lock()
        # Not the lock: who comes is not to wait for who writes before it has anything to write.
        self._counting = threading.Condition()
        self._active: _Active | None = None
        # What takes no more and is not closed yet: that asks the disk.
        self._sealed: list[_Active] = []
        self._own: Owned | None = None
        self._numbers = 0
        self._appending = 0
        self._appended = self._appended_before = 0
        self._closed = False

    def append(self, incoming: Incoming, waiting: int) -> Entry:
        """Durable when it returns; `waiting` instances are there already. Raises NotSpooled, and SegmentFailed or
        OSError where the disk fails: another segment may be tried."""
        with self._under_way():
            if incoming.size > self._alone_bytes:
                return self._append_alone(incoming, waiting)
            try:
                return self._append(incoming, waiting)
            finally:
                self._close_sealed()

    def own(self) -> Path:
        """This process's own folder, which is made when it is asked for first. Raises OSError."""
        if self._own is None:
            self._own = places.new_owned(self._folder)
        return self._own.path

    def next_path(self, suffix: str = places.SEGMENT) -> Path:
        """Of a new segment in this process's own folder. Raises OSError."""
        own = self.own()
        self._numbers += 1
        return own / f"{self._numbers:08}{suffix}"

    def path_of_whole(self) -> Path:
        """The same, while others append, of one that is on the disk as a whole already. Raises OSError."""
        with self._lock:
            return self.next_path(places.WHOLE)

    def seal_if_idle(self) -> None:
        """To be called now and then: patient data do not stay on the disk when nothing waits."""
        with self._lock:
            if self._active is not None and not self._active.shelf.waiting and self._appended == self._appended_before:
                self._seal()
            self._appended_before = self._appended
        self._close_sealed()

    def close(self) -> None:
        """Takes no more. What is being written is given up, or durable when it returns."""
        with self._lock:
            self._closed = True
        with self._counting:
            self._counting.wait_for(lambda: not self._appending)
        with self._lock:
            self._seal()
        self._close_sealed()

    def let_go(self) -> None:
        """Others may have the folder. After `close`: nobody writes into one that is let go."""
        with self._lock:
            if self._own is not None:
                self._own.let_go()
            self._own = None

    @contextmanager
    def _under_way(self) -> Iterator[None]:
        with self._counting:
            self._appending += 1
        try:
            yield
        finally:
            with self._counting:
                self._appending -= 1
                self._counting.notify_all()

    def _append(self, incoming: Incoming, waiting: int) -> Entry:
        with self._lock:
            kept, metadata = self._numbered(incoming.kept)
            active = self._writable(incoming.size, waiting)
            found = self._write(active, incoming, kept, metadata)
        try:
            active.segment.durable(found.start + found.length)
        except SegmentFailed:
            with self._lock:
                if self._active is active:
                    self._seal()
            active.shelf.drop()
            raise
        return Entry(active.shelf, found)

    def _append_alone(self, incoming: Incoming, waiting: int) -> Entry:
        with self._lock:
            kept, metadata = self._numbered(incoming.kept)
            self._check(incoming.size, waiting)
            path = self.next_path(places.WHOLE)
            reserved = self._room.reserve(incoming.size)

        def wrote(count: int) -> None:
            reserved.take(count)
            if self._closed:
                raise NotSpooled(_STOPS)

        of_file = (incoming.received_ms, incoming.digest, incoming.size)
        try:
            head = alone.write(
                path,
                lambda segment_id: packed(segment_id, 0, *of_file, metadata),
                incoming.parts,
                wrote,
                self._fdatasync,
            )
        finally:
            reserved.give_back()
        return Entry(Shelf(path, waiting=1, sealed=True), Found.of(SEGMENT_HEAD_BYTES, head, kept))

    def _numbered(self, kept: Kept) -> tuple[Kept, bytes]:
        """With the next tick, and as metadata: under the lock, so that ticks are in the order of the file."""
        kept = msgspec.structs.replace(kept, tick=self._ticks.next())
        metadata = encoded(kept)
        if len(metadata) > METADATA_BYTES_MAX:
            raise NotSpooled("the request has UIDs of more text than any UID has")
        return kept, metadata

    def _check(self, size: int, waiting: int) -> None:
        """Raises NotSpooled."""
        if self._closed:
            raise NotSpooled(_STOPS)
        if why := self._room.refusal(size, waiting):
            raise NotSpooled(why)

    def _writable(self, size: int, waiting: int) -> _Active:
        self._check(size, waiting)
        if self._active is not None and self._active.segment.length + size > self._segment_bytes:
            self._seal()
        if self._active is None:
            path = self.next_path()
            self._active = _Active(Segment(path, self._fdatasync), Shelf(path))
        return self._active

    def _write(self, active: _Active, incoming: Incoming, kept: Kept, metadata: bytes) -> Found:
        segment = active.segment
        unpadded = HEAD_BYTES + len(metadata)
        straight = incoming.in_page is not None and segment.takes_straight(unpadded, incoming.size)
        if straight:
            # White space is nothing in JSON (RFC 8259 section 2).
            metadata += b" " * padding(unpadded, incoming.in_page or 0)
        of_file = (incoming.received_ms, incoming.digest, incoming.size)
        head, said = packed(segment.id, segment.records, *of_file, metadata)
        try:
            if straight:
                start = segment.append_straight(head, incoming.parts[0])
            else:
                start = segment.append((head, *incoming.parts))
        except SegmentFailed:
            self._seal()
            raise
        active.shelf.add()
        found = Found.of(start, said, kept)
        self._room.take(found.length)
        self._appended += 1
        return found

    def _seal(self) -> None:
        """The active segment takes no more; it goes once it is closed and all in it is committed."""
        if self._active is not None:
            self._sealed.append(self._active)
        self._active = None

    def _close_sealed(self) -> None:
        """Without the lock: senders go on with the next segment meanwhile. Who seals one, comes by here afterwards."""
        if not self._sealed:
            return
        with self._lock:
            sealed, self._sealed = self._sealed, []
        for active in sealed:
            # Those who wait for it learn of a failure themselves.
            with suppress(SegmentFailed):
                active.segment.close()
            active.shelf.seal()
