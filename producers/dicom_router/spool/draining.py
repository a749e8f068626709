"""From the spool to store and log, as `Archive.keep` does it: at once, and again until it is done."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import UTC, datetime

import structlog

from producers.dicom_router.archive import Archive, Receipt
from producers.dicom_router.data_set import StoredFile
from producers.dicom_router.header import read_header
from producers.dicom_router.spool import aside, progress
from producers.dicom_router.spool.breaker import AWAY, LARGE_BYTES, Breaker
from producers.dicom_router.spool.fault import OfAnotherSite, check_site, is_of_the_machine, reason
from producers.dicom_router.spool.giving_way import GivingWay
from producers.dicom_router.spool.held_up import HeldUp
from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.reading import Part, read
from producers.dicom_router.spool.record import Kept, NotARecord
from producers.dicom_router.spool.spool import Spool
from streams import metrics, tracing
from streams.log import LogAway, TopicClosed

# The store takes as many at once as four threads put into it; more only wait for it.
THREADS = 4
_LOOK_S = 0.25
# What is in hand then is done again by the next start, which is harmless.
_STOP_S_MAX = 5.0
# So many in a row that each seem at fault themselves: it is not them. A log may refuse everything, by its ACLs.
_REFUSED_MAX = 10
_LATER_S = 1.0
# A lane whose topic is closed is looked at again so often, with one entry: a person has to mend it.
_CLOSED_S = 5.0


class Drain:
    """Threads that commit what waits, from construction to `stop`: all at once, or one of them, the less the more
    senders come, while they give way to those."""

    def __init__(self, spool: Spool, archive: Archive, breaker: Breaker) -> None:
        self.giving_way = GivingWay(archive.clock)
        self.held_up = HeldUp()
        self._spool = spool
        self._archive = archive
        self._breaker = breaker
        self._stopping = threading.Event()
        # With how many commits of anybody had worked before the first of them.
        self._refused_in_a_row, self._refused_at = 0, 0
        # By lane, which is a topic of its own: until when its entries are let be.
        self._closed_until: dict[str, float] = {}
        self._large = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number > 0,), name=f"drain-{number}", daemon=True)
            for number in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> bool:
        """Begins nothing more, and waits some seconds for what is in hand. Whether that is done."""
        self._stopping.set()
        deadline = time.monotonic() + _STOP_S_MAX
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, gives_way: bool) -> None:
        while not self._stopping.is_set():
            if not self._breaker.may_try() or (gives_way and self._in_the_way):
                self._stopping.wait(_LOOK_S)
            elif (entry := self._spool.waiting.take(_LOOK_S)) is None or self._spool.wait_for_others(entry):
                continue
            elif gives_way and self._in_the_way:
                self._spool.waiting.back(entry)
            elif (closed_s := self._closed_until.get(entry.found.lane, 0.0) - time.monotonic()) > 0.0:
                self._spool.waiting.hold(entry, closed_s)
            elif not self._begins(entry):
                self._spool.waiting.hold(entry, _LOOK_S)
            else:
                began_s, before = time.monotonic(), self.giving_way.senders
                try:
                    self._commit(entry)
                finally:
                    self._ended(entry)
                if self._in_the_way:
                    came = self.giving_way.senders - before
                    self._stopping.wait(self.giving_way.pause_s(time.monotonic() - began_s, came))

    def _begins(self, entry: Entry) -> bool:
        """Whether it may be committed now. `_ended` is told when that is over.

        While parts are away everybody waits for the one that tries: no large one, where a small one may.
        """
        if entry.found.head.file <= LARGE_BYTES:
            return True
        if not self._breaker.may_try(entry.found.head.file):
            return False
        return self._large.acquire(blocking=False)

    def _ended(self, entry: Entry) -> None:
        if entry.found.head.file > LARGE_BYTES:
            self._large.release()

    @property
    def _in_the_way(self) -> bool:
        return self.giving_way.now(self._spool.waiting.bytes)

    def _commit(self, entry: Entry) -> None:
        """One entry, as far as it gets: settled, or back where it was in its study."""
        log = structlog.get_logger()
        try:
            kept, file = read(entry.shelf.path, entry.found)
        except (NotARecord, OSError, MemoryError) as error:
            self._unreadable(entry, error)
            return
        try:
            check_site(kept, self._archive.site)
        except OfAnotherSite as error:
            # Before there is a turn: store and log have nothing to do with it.
            self._refused(entry, kept, file, error)
            return
        turn = self._breaker.turn(len(file), entry.found.head.digest)
        if turn is None:
            self._spool.waiting.back(entry)
            return
        try:
            with turn:
                self._keep(entry, kept, file)
        except TopicClosed as error:
            self._closed(entry, kept, error)
        except AWAY as error:
            self._away(entry, error)
        except MemoryError as error:
            self._later(entry, error)
        except Exception as error:
            # Also what nobody planned: it is this entry's, and the others are not to wait for it.
            log.error("spool_not_committed", association=kept.association, exc_info=True)
            self._refused(entry, kept, file, error)
        else:
            metrics.SPOOL_DRAINED.inc()
            self._settled(entry)

    def _keep(self, entry: Entry, kept: Kept, file: memoryview) -> None:
        """Raises as `Archive.keep`."""
        try:
            self._publish(entry, kept, file)
        except (*AWAY, MemoryError):
            raise
        except Exception as error:
            if self._all_refused(entry):
                raise LogAway(f"{_REFUSED_MAX} instances in a row could not be committed") from error
            raise

    def _all_refused(self, entry: Entry) -> bool:
        """Whether this refusal ends a row of so many, between which nobody else's commit has worked."""
        commits = self._breaker.commits
        if commits != self._refused_at:
            self._refused_in_a_row, self._refused_at = 0, commits
        # What is tried again and again, stuck or back from aside, was counted when it was refused first.
        self._refused_in_a_row += not entry.refusals
        return self._refused_in_a_row > _REFUSED_MAX

    def _publish(self, entry: Entry, kept: Kept, file: memoryview) -> None:
        header = read_header(file[kept.file_head :], kept.transfer_syntax_uid)
        whole = StoredFile(file, entry.found.head.digest.hex())
        at = datetime.fromtimestamp(entry.found.head.received_ms / 1000, UTC)
        receipt = Receipt(at, kept.lane, ((tracing.HEADER, kept.trace.encode()),))
        self._archive.keep(kept, header, whole, receipt)
        while self._spool.once_more(entry):
            self._archive.keep(kept, header, whole, receipt)

    def _away(self, entry: Entry, error: Exception) -> None:
        """Back where it was, for a while where it alone fails. Else others are to be the next to find out that parts
        are back: of this one, nobody can tell yet."""
        tries = self._breaker.failed_alone(entry.found.head.digest)
        self._spool.waiting.hold(entry, self.held_up.failed(entry, tries, error) if tries else _LOOK_S)

    def _refused(self, entry: Entry, kept: Kept, file: memoryview, error: Exception) -> None:
        entry.refusals += 1
        try:
            aside.set_record_aside(self._spool.folder, entry.found, kept, file, reason(error), entry.refusals)
        except (OSError, MemoryError) as failure:
            self._stuck(entry, failure)
        else:
            self._forget(entry)

    def _unreadable(self, entry: Entry, error: Exception) -> None:
        if is_of_the_machine(error):
            self._later(entry, error)
            return
        if isinstance(error, FileNotFoundError) and _is_noted(entry):
            # Another process had committed it, and with it all of its segment.
            self._forget(entry)
            return
        if isinstance(error, OSError):
            self._stuck(entry, error)
            return
        found = entry.found
        part = Part(found.start, found.start + found.length, f"damaged on the spool's disk ({error})")
        try:
            aside.set_bytes_aside(self._spool.folder, entry.shelf.path, part)
        except (OSError, MemoryError) as failure:
            self._stuck(entry, failure)
        else:
            self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        while self._spool.once_more(entry):
            pass
        self._settled(entry)

    def _settled(self, entry: Entry) -> None:
        self.held_up.over(entry)
        self._spool.settled(entry)

    def _closed(self, entry: Entry, kept: Kept, error: TopicClosed) -> None:
        """Nobody's fault who waits, and those of other topics are not to wait for it."""
        structlog.get_logger().warning("topic_closed", lane=kept.lane, reason=str(error))
        self._closed_until[entry.found.lane] = time.monotonic() + _CLOSED_S
        self._spool.waiting.hold(entry, _CLOSED_S)

    def _later(self, entry: Entry, error: Exception) -> None:
        """The machine lacks something, and what waits is as good as ever."""
        structlog.get_logger().error("spool_not_read_now", error=error, file=entry.shelf.path.name)
        self._spool.waiting.back(entry)
        self._stopping.wait(_LATER_S)

    def _stuck(self, entry: Entry, failure: Exception) -> None:
        structlog.get_logger().error("spool_stuck", error=failure, file=entry.shelf.path.name)
        self._spool.stuck(entry)


def _is_noted(entry: Entry) -> bool:
    with suppress(OSError):
        return entry.found.head.check in progress.marked(entry.shelf.path)
    return False
