"""The spool of one router process: what is appended is durable when `append` returns, and waits to be committed.

The process writes into a folder of its own, and drains besides what other processes left that are gone.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path

import structlog

from producers.dicom_router.spool import aside, ballast, places
from producers.dicom_router.spool.again import Again
from producers.dicom_router.spool.incoming import Incoming, NotSpooled
from producers.dicom_router.spool.inherited import Inherited, Unreadable
from producers.dicom_router.spool.order import Entry, Waiting
from producers.dicom_router.spool.others import Others
from producers.dicom_router.spool.recovery import sync
from producers.dicom_router.spool.repeats import Repeats
from producers.dicom_router.spool.room import Limits, Room, disk_is_full, try_disk
from producers.dicom_router.spool.segment import SegmentFailed, Sync
from producers.dicom_router.spool.shelf import Shelf
from producers.dicom_router.spool.stuck import Stuck
from producers.dicom_router.spool.ticks import Ticks
from producers.dicom_router.spool.uncommitted import Uncommitted
from producers.dicom_router.spool.writing import Writing
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
        self._repeats = Repeats()
        self._uncommitted = Uncommitted(folder)
        self._inherited = Inherited(folder)
        self._again = Again(folder)
        # Held while something goes from aside to what waits: it must not be missed in both.
        self._comes_back = threading.Lock()
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
        self._room.look(self._inherited.unlisted)

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
            self._repeats.put([entry])
            self._uncommitted.came((entry,))
            self.waiting.put(entry)
            self._disk_fails = None
            metrics.SPOOL_APPENDED.inc()
            return
        raise NotSpooled(self._disk_fails or _DISK)

    def repeated(self, incoming: Incoming) -> bool:
        """Whether the same bytes wait already, whole, from the same sender, and nothing else came under their SOP
        Instance UID since, here or to another process: they are then published once more when they are committed."""
        entry = self._repeats.last(incoming)
        try:
            if entry is None or self._others_have({entry.found.instance}):
                return False
        except OSError:
            return False
        return self._repeats.came(entry, incoming.kept)

    def once_more(self, entry: Entry) -> bool:
        """Whether the same bytes came since, for which the event is to be published again."""
        return self._repeats.once_more(entry)

    def settled(self, entry: Entry) -> None:
        """An entry that was taken is committed, or stands aside. Its segment goes with the last of it."""
        if not entry.shelf.committed(entry.found.head.check):
            with self._lock:
                self._not_noted.add(entry.shelf)
        self.waiting.done(entry)
        self._uncommitted.over(entry)
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

    def holds_any(self, instances: AbstractSet[int]) -> bool:
        """Whether one of these (`record.short`) is on the disk alone: here, on the spool of another process, or aside;
        or may be, in what cannot be read now. Raises OSError.
        """
        # In the order in which they go from one to another; what stands aside, any process may take back.
        with self._comes_back:
            return (
                self.unreadable is not None
                or self._others_have(instances)
                or self._uncommitted.has_any(instances)
                or self._uncommitted.has_any_aside(instances)
                or self._others_have(instances)
            )

    def _others_have(self, instances: AbstractSet[int]) -> bool:
        return self._others is not None and self._others.have_any(instances)

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
        with self._lock:
            self.waiting.put(*self._stuck.take_due())
        with suppress(OSError, MemoryError):
            self._inherited.take_over()
        self._take_in()
        with suppress(OSError):
            self._inherited.remove_empty()
        with suppress(OSError):
            ballast.keep(self.folder, self._limits.free_bytes_min)
        self._note_again()
        if self._disk_fails:
            with suppress(OSError):
                try_disk(self.folder)
                self._disk_fails = None
        try:
            self._room.look(self._inherited.unlisted)
            why = self._room.refusal(self._segment_bytes, self.waiting.count)
        except OSError as error:
            # A disk that cannot even be looked at takes nothing more; that ends no router: store and log may be well.
            why = self._disk_fails = self._disk_fails or _said("spool_not_looked_at", error)
        return self._disk_fails or why

    def try_aside_again(self) -> None:
        """What stands aside waits again once it is time (`again`). To be called now and then, while parts are there."""
        with suppress(OSError, MemoryError), self._comes_back:
            try:
                for record in self._again.due():
                    self._take_back(record)
            finally:
                self._take_in()

    def close(self, *, in_hand: bool = False) -> None:
        """Takes no more; what waits is for the next start, or for another process.

        `in_hand`: something is being committed yet, and its segment goes with it. Then the folders are this process's
        until it ends: who took them over would wait for what is gone.
        """
        self._writing.close()
        if not in_hand:
            self._writing.let_go()
            self._inherited.let_go()

    @property
    def unreadable(self) -> Unreadable | None:
        """What was left by processes that are gone and cannot be read now: it is in no figure. `look` tries again."""
        return self._inherited.unreadable()

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
        self._inherited.take_over()
        for record in aside.records(self.folder):
            self._take_back(record)
        self._take_in()

    def _take_back(self, record: Path) -> None:
        """Raises OSError."""
        refusals, path = aside.tries(record), self._writing.path_of_whole()
        # Before, as it may be there though the disk fails; what is not there is not read.
        self._inherited.add(path, refusals=refusals)
        aside.take_back(record, path)

    def _take_in(self) -> None:
        """What waits in segments that nobody in this process wrote, as far as they can be read now."""
        found = self._inherited.read()
        entries = [entry for _, block in found for entry in block]
        sync([shelf for shelf, block in found if block])
        self._repeats.put(entries)
        self._uncommitted.came(entries)
        self.waiting.put(*entries)
        for path in self._inherited.read_by_now():
            if self._others is not None:
                self._others.taken_over(path)
        for shelf, _ in found:
            shelf.remove_if_done()


def _said(what: str, failure: BaseException) -> str:
    structlog.get_logger().error(what, error=failure)
    return _FULL if disk_is_full(failure) else _DISK
