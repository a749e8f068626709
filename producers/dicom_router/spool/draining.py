"""From the spool to store and log, as `Archive.keep` does it: at once, and again until it is done."""

from __future__ import annotations

import errno
import threading
import time
from contextlib import nullcontext
from datetime import UTC, datetime

import structlog

from producers.dicom_router.archive import Archive, Receipt
from producers.dicom_router.data_set import StoredFile
from producers.dicom_router.header import read_header
from producers.dicom_router.spool import aside
from producers.dicom_router.spool.breaker import AWAY, Breaker
from producers.dicom_router.spool.giving_way import GivingWay
from producers.dicom_router.spool.order import Entry
from producers.dicom_router.spool.reading import Part, read
from producers.dicom_router.spool.record import Kept, NotARecord
from producers.dicom_router.spool.spool import Spool
from streams import metrics, tracing
from streams.log import LogAway, LogRefused, TopicClosed
from streams.objects import Damaged

# The store takes as many at once as four threads put into it; more only wait for it.
THREADS = 4
_LOOK_S = 0.25
# What is in hand then is done again by the next start, which is harmless.
_STOP_S_MAX = 5.0
# A drained object is in memory a few times over: of large ones there is one at a time.
_LARGE_BYTES = 64 << 20
# So many in a row that each seem at fault themselves: it is not them. A log may refuse everything, by its ACLs.
_REFUSED_MAX = 10
# No file or no memory to be had: nobody's fault who waits, and over when others have ended.
_OF_THE_MACHINE = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR))
_LATER_S = 1.0
# A lane whose topic is closed is looked at again so often, with one entry: a person has to mend it.
_CLOSED_S = 5.0


class Drain:
    """Threads that commit what waits, from construction to `stop`: all at once, or one of them, half of its time,
    while they give way to senders."""

    def __init__(self, spool: Spool, archive: Archive, breaker: Breaker) -> None:
        self.giving_way = GivingWay(archive.clock)
        self._spool = spool
        self._archive = archive
        self._breaker = breaker
        self._stopping = threading.Event()
        self._refused_in_a_row = 0
        # By lane, which is a topic of its own: until when its entries are let be.
        self._closed_until: dict[str, float] = {}
        self._large = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number > 0,), name=f"drain-{number}", daemon=True)
            for number in range(THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begins nothing more, and waits some seconds for what is in hand."""
        self._stopping.set()
        deadline = time.monotonic() + _STOP_S_MAX
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0.0))

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
            else:
                began_s = time.monotonic()
                with self._large if entry.found.head.file > _LARGE_BYTES else nullcontext():
                    self._commit(entry)
                if self._in_the_way:
                    self._stopping.wait(time.monotonic() - began_s)

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
        turn = self._breaker.turn(len(file))
        if turn is None:
            self._spool.waiting.back(entry)
            return
        try:
            with turn:
                self._keep(entry, kept, file)
        except TopicClosed as error:
            self._closed(entry, kept, error)
        except AWAY:
            self._spool.waiting.back(entry)
        except MemoryError as error:
            self._later(entry, error)
        except Exception as error:
            # Also what nobody planned: it is this entry's, and the others are not to wait for it.
            log.error("spool_not_committed", association=kept.association, exc_info=True)
            self._refused(entry, kept, file, error)
        else:
            metrics.SPOOL_DRAINED.inc()
            self._spool.settled(entry)

    def _keep(self, entry: Entry, kept: Kept, file: bytearray) -> None:
        """Raises as `Archive.keep`; ValueError for what another site's router left here."""
        try:
            self._publish(entry, kept, file)
        except (*AWAY, MemoryError):
            raise
        except Exception as error:
            # What is tried again and again because it is stuck was counted when it was refused first.
            self._refused_in_a_row += not entry.was_refused
            if self._refused_in_a_row > _REFUSED_MAX:
                raise LogAway(f"{_REFUSED_MAX} instances in a row could not be committed") from error
            raise
        self._refused_in_a_row = 0

    def _publish(self, entry: Entry, kept: Kept, file: bytearray) -> None:
        site = self._archive.site
        if (kept.tenant, kept.site) != (site.tenant, site.site):
            raise ValueError("the spool of another site")
        header = read_header(memoryview(file)[kept.file_head :], kept.transfer_syntax_uid)
        whole = StoredFile(memoryview(file), entry.found.head.digest.hex())
        at = datetime.fromtimestamp(entry.found.head.received_ms / 1000, UTC)
        receipt = Receipt(at, kept.lane, ((tracing.HEADER, kept.trace.encode()),))
        self._archive.keep(kept, header, whole, receipt)
        while self._spool.once_more(entry):
            self._archive.keep(kept, header, whole, receipt)

    def _refused(self, entry: Entry, kept: Kept, file: bytearray, error: Exception) -> None:
        try:
            aside.set_record_aside(self._spool.folder, entry.found, kept, memoryview(file), _reason(error))
        except OSError as failure:
            entry.was_refused = True
            self._stuck(entry, failure)
        else:
            self._forget(entry)

    def _unreadable(self, entry: Entry, error: Exception) -> None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in _OF_THE_MACHINE):
            self._later(entry, error)
            return
        if isinstance(error, OSError):
            self._stuck(entry, error)
            return
        found = entry.found
        part = Part(found.start, found.start + found.length, f"damaged on the spool's disk ({error})")
        try:
            aside.set_bytes_aside(self._spool.folder, entry.shelf.path, part)
        except OSError as failure:
            self._stuck(entry, failure)
        else:
            self._forget(entry)

    def _forget(self, entry: Entry) -> None:
        while self._spool.once_more(entry):
            pass
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


def _reason(error: Exception) -> str:
    """For a person, without patient data: the text of an exception that nobody planned can hold anything."""
    if isinstance(error, Damaged):
        return "the store holds other bytes under its key"
    if isinstance(error, LogRefused):
        return f"the log refused its event: {error}"
    return f"it cannot be committed ({type(error).__name__}); the router's log has the place in the code"
