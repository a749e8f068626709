"""The spool of one router process: what is appended is durable when `append` returns, and waits to be committed.

The process writes into a folder of its own, and drains besides what other processes left that are gone.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

import structlog

from producers.dicom_router.spool import aside, ballast, places
from producers.dicom_router.spool.order import Entry, Waiting
from producers.dicom_router.spool.others import Others
from producers.dicom_router.spool.places import Owned
from producers.dicom_router.spool.reading import is_whole
from producers.dicom_router.spool.recovery import recovered, take_over
from producers.dicom_router.spool.room import Limits, Room, disk_is_full, try_disk
from producers.dicom_router.spool.segment import SegmentFailed, Sync
from producers.dicom_router.spool.shelf import Shelf
from producers.dicom_router.spool.stuck import Stuck
from producers.dicom_router.spool.ticks import Ticks
from producers.dicom_router.spool.writing import Incoming, NotSpooled, Writing
from streams import metrics

_DISK = "the spool's disk does not keep what is written; see the machine's log"
_FULL = "the spool's disk is full"


class Spool:
    """Used from many threads; `open` and `look` from one."""

    def __init__(self, folder: Path, limits: Limits, segment_bytes: int, fdatasync: Sync = os.fdatasync) -> None:
        self.folder = folder
        self.waiting = Waiting()
        self._stuck = Stuck()
        self._limits = limits
        self._segment_bytes = segment_bytes
        self._room = Room(folder, limits)
        self._ticks = Ticks(folder)
        self._writing = Writing(folder, self._room, segment_bytes, self._ticks, fdatasync)
        self._lock = threading.Lock()
        self._known: dict[bytes, Entry] = {}
        self._taken_over: list[Owned] = []
        self._others: Others | None = None
        self._not_noted: set[Shelf] = set()
        self._disk_fails: str | None = None

    def open(self) -> None:
        """Takes over what is left of processes that are gone, and what stands aside. Raises OSError.

        Where the disk is full, the ballast is given up for it: what drains then makes room.
        """
        try:
            self._open()
        except OSError as error:
            if not disk_is_full(error) or not self.folder.is_dir():
                raise
            structlog.get_logger().warning("spool_ballast_given_up", error=error)
            # Also where there is none any more: another process may have given it up since.
            ballast.release(self.folder)
            self._open()
        self._room.look()

    def append(self, incoming: Incoming) -> None:
        """Durable when it returns. The parts are not referred to afterwards. Raises NotSpooled.

        Where the disk fails, another segment is tried, once.
        """
        for _ in range(2):
            try:
                entry = self._writing.append(incoming, self.waiting.count)
            except (SegmentFailed, OSError) as error:
                self._disk_fails = _said("spool_segment_failed", error.__cause__ or error)
                continue
            with self._lock:
                self._known[incoming.digest] = entry
            self.waiting.put(entry)
            self._disk_fails = None
            metrics.SPOOL_APPENDED.inc()
            return
        raise NotSpooled(self._disk_fails or _DISK)

    def repeated(self, digest: bytes) -> bool:
        """Whether the same bytes wait already, whole: they are then published once more when they are committed."""
        with self._lock:
            entry = self._known.get(digest)
        if entry is None:
            return False
        try:
            if not is_whole(entry.shelf.path, entry.found):
                return False
        except OSError:
            return False
        with self._lock:
            if self._known.get(digest) is not entry:
                return False
            entry.again += 1
        return True

    def once_more(self, entry: Entry) -> bool:
        """Whether the same bytes came since, for which the event is to be published again."""
        with self._lock:
            if entry.again:
                entry.again -= 1
                return True
            if self._known.get(entry.found.head.digest) is entry:
                del self._known[entry.found.head.digest]
            return False

    def settled(self, entry: Entry) -> None:
        """An entry that was taken is committed, or stands aside. Its segment goes with the last of it."""
        if not entry.shelf.committed(entry.found.head.check):
            with self._lock:
                self._not_noted.add(entry.shelf)
        self.waiting.done(entry)
        entry.shelf.drop()

    def stuck(self, entry: Entry) -> None:
        """An entry that was taken can be neither committed nor set aside now. It is tried again, by `look`; its segment
        stays, and what is behind it goes on."""
        with self._lock:
            self.waiting.done(entry)
            self._stuck.put(entry)

    def figures(self) -> tuple[int, int, int | None]:
        """Of what is not committed and does not stand aside: instances, bytes, and when the oldest was received (Unix
        time in ms), None where there is none."""
        # What goes from one to the other meanwhile is in one of them.
        with self._lock:
            stuck, oldest_ms = self._stuck.entries, self.waiting.oldest_ms()
            count, size = self.waiting.count + len(stuck), self.waiting.bytes
        size += sum(entry.found.length for entry in stuck)
        received = [entry.found.head.received_ms for entry in stuck] + ([] if oldest_ms is None else [oldest_ms])
        return count, size, min(received, default=None)

    def holds(self, study: str) -> bool:
        """Whether something of that study is not committed yet, here or on the spool of another process. What was
        stuck here does not count, also while it is tried once more: nobody waits for it."""
        return self.waiting.holds(study) or (self._others is not None and self._others.hold(study))

    def wait_for_others(self, entry: Entry) -> bool:
        """Whether an entry that was taken has to wait for what another process acknowledged before, or for what that
        one left: its end may come between. It is not in hand then."""
        if self._others is not None and self._others.hold_before(entry.found.study, entry.found.tick):
            self.waiting.hold(entry)
            return True
        if not self.waiting.is_first(entry):
            self.waiting.back(entry)
            return True
        return False

    def look(self) -> str | None:
        """What is to be done every second. Why the spool does not take another segment, or None."""
        self._writing.seal_if_idle()
        self.waiting.put(*self._stuck.take_due())
        with suppress(OSError):
            self._adopt()
        with suppress(OSError):
            ballast.keep(self.folder, self._limits.free_bytes_min)
        self._note_again()
        if self._disk_fails:
            with suppress(OSError):
                try_disk(self.folder)
                self._disk_fails = None
        try:
            self._room.look()
            why = self._room.refusal(self._segment_bytes, self.waiting.count)
        except OSError as error:
            # A disk that cannot even be looked at takes nothing more; that ends no router: store and log may be well.
            why = self._disk_fails = self._disk_fails or _said("spool_not_looked_at", error)
        return self._disk_fails or why

    def close(self) -> None:
        """Takes no more; what waits is for the next start, or for another process."""
        self._writing.close()
        for owned in self._taken_over:
            owned.let_go()
        self._taken_over = []

    @property
    def used_bytes(self) -> int:
        return self._room.used_bytes

    def _note_again(self) -> None:
        """What a full disk did not take when it was committed: other processes wait for what is not noted."""
        with self._lock:
            left, self._not_noted = self._not_noted, set()
        left = {shelf for shelf in left if not shelf.note()}
        with self._lock:
            self._not_noted |= left

    def _open(self) -> None:
        """As far as it gets; once more, it goes on from there. Raises OSError."""
        places.prepare(self.folder)
        aside.remove_unfinished(self.folder)
        self._ticks.open()
        self._others = self._others or Others(self.folder, self._writing.own())
        self._adopt()
        for record in aside.records(self.folder):
            path = self._writing.next_path()
            if aside.take_back(record, path):
                self.waiting.put(*self._recovered(path))

    def _adopt(self) -> None:
        """Takes over the folders of processes that are gone, and removes those that are empty by now."""
        taken = take_over(self.folder)
        self._taken_over += [owned for owned, _ in taken]
        self.waiting.put(*(entry for _, paths in taken for path in paths for entry in self._recovered(path)))
        for owned, _ in taken:
            if self._others is not None:
                self._others.taken_over(owned.path)
        for owned in [one for one in self._taken_over if not any(one.path.iterdir())]:
            self._taken_over.remove(owned)
            owned.let_go()

    def _recovered(self, path: Path) -> list[Entry]:
        try:
            shelf, entries = recovered(self.folder, path)
        except OSError as error:
            # It stays where it is, for the next start; the others are as good as ever.
            structlog.get_logger().error("spool_unreadable", error=error, file=path.name)
            return []
        for entry in entries:
            with self._lock:
                self._known.setdefault(entry.found.head.digest, entry)
        shelf.remove_if_done()
        return entries


def _said(what: str, failure: BaseException) -> str:
    structlog.get_logger().error(what, error=failure)
    return _FULL if disk_is_full(failure) else _DISK
