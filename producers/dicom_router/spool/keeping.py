"""What becomes of a C-STORE request that is not refused: committed at once, or kept on the spool until it can be.

A study of which the spool holds an instance goes there altogether, until that is drained: so its order holds.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from producers.dicom_router.archive import Archive, Receipt, file_of
from producers.dicom_router.arrival import Arrival, Refusal
from producers.dicom_router.data_set import StoredFile
from producers.dicom_router.header import STUDY, Header
from producers.dicom_router.spool import aside
from producers.dicom_router.spool.breaker import AWAY, Breaker
from producers.dicom_router.spool.census import census
from producers.dicom_router.spool.config import Settings
from producers.dicom_router.spool.draining import Drain
from producers.dicom_router.spool.incoming import Incoming, NotSpooled
from producers.dicom_router.spool.record import Kept
from producers.dicom_router.spool.room import Limits, disk_is_full
from producers.dicom_router.spool.spool import Spool
from streams import metrics
from streams.config import ConfigError
from streams.health import Health

CHECK, HELD_UP = "spool", "held_up"
_SEGMENTS_MIN = 8


class Keeping:
    """Used from the threads of all associations at once. Nothing refers to an arrival's bytes after a call."""

    def __init__(self, archive: Archive, settings: Settings, health: Health, *, held: bool = False) -> None:
        """`held`: everything goes to the spool until `release`. Raises ConfigError for a folder that cannot be used."""
        self._archive = archive
        # A sender waits less long than the drain, which has nothing else to do.
        self._prompt = replace(archive, commit_timeout_s=min(archive.commit_timeout_s, settings.patience_s))
        self._settings = settings
        self._health = health
        self._breaker = Breaker(archive.clock, settings.patience_s)
        if held:
            self._breaker.hold()
        self._spool = _opened(settings)
        self._drain = Drain(self._spool, archive, self._breaker) if self._spool else None
        self.look()

    def keep(self, arrival: Arrival, header: Header) -> None:
        """Durable when it returns: in store and log, or on the spool. Raises as `Archive.keep`, and NotSpooled."""
        request = _Request(arrival, header, file_of(arrival, header), self._archive.receipt(arrival))
        if self._spool is None or not self._settings.takes_over:
            self._commit(request)
        elif not self._committed(self._spool, request):
            self._put(self._spool, request)

    def refuse(self, arrival: Arrival, refusal: Refusal) -> None:
        """Writes the audit event of a refusal. Raises as `Archive.refuse`, and at once while store or log are away."""
        turn = self._breaker.turn(0)
        if turn is None:
            raise self._breaker.away()
        with turn:
            self._prompt.refuse(arrival, refusal)

    def has_spooled(self, instances: AbstractSet[int]) -> bool:
        """Whether one of these (`record.short`) waits to be committed. What cannot be looked at may hold them."""
        try:
            return self._spool is not None and self._spool.holds_any(instances)
        except OSError:
            return True

    def look(self) -> None:
        """What is to be done every second: housekeeping, readiness, figures."""
        if self._spool is None:
            return
        why = self._spool.look()
        if self._breaker.closed:
            self._spool.try_aside_again()
        ready = why is None or not self._needs(self._spool)
        self._health.ready(CHECK, ready, f"{why}; senders are told to try again (0xA700)")
        self._health.warn(HELD_UP, self._drain.held_up.said if self._drain else "")
        (count, size, oldest_ms), now_ms = self._spool.figures(), self._archive.clock.now().timestamp() * 1000
        metrics.SPOOL_INSTANCES.set(count)
        metrics.SPOOL_BYTES.set(size)
        metrics.SPOOL_OLDEST_SECONDS.set(0 if oldest_ms is None else max(now_ms - oldest_ms, 0) / 1000)
        metrics.SPOOL_DISK_BYTES.set(self._spool.used_bytes)
        metrics.SPOOL_BUDGET_BYTES.set(self._settings.budget_bytes)
        unreadable = self._spool.unreadable
        metrics.SPOOL_UNREADABLE.set(unreadable.segments if unreadable else 0)
        self._health.warn(CHECK, str(unreadable or ""))
        with suppress(OSError):
            metrics.SPOOL_ASIDE.set(aside.count(self._spool.folder))

    def release(self) -> None:
        """Store and log may be used."""
        self._breaker.release()

    def stop(self) -> None:
        """What is on the spool stays there for the next start."""
        done = self._drain is None or self._drain.stop()
        if self._spool is not None:
            self._spool.close(in_hand=not done)

    def _needs(self, spool: Spool) -> bool:
        """Whether senders depend on the spool now. Where they do not, a full disk is no reason to send them away."""
        always = self._settings.acknowledge == "spool" or "spool" in self._settings.acknowledge_of.values()
        waits = spool.waiting.count > spool.waiting.stuck
        return self._settings.takes_over and (always or not self._breaker.closed or waits)

    def _committed(self, spool: Spool, request: _Request) -> bool:
        """Whether store and log have it; where not, the spool is to take it."""
        calling_ae = request.arrival.calling_ae
        if self._settings.acknowledges(calling_ae) == "spool" or spool.holds(request.study):
            return False
        # The drain probes, where it has something to probe with: no sender waits for that.
        turn = self._breaker.turn(len(request.file.data), request.digest, probing=not spool.waiting.count)
        if turn is None:
            return False
        try:
            with turn:
                self._prompt.keep(request.arrival, request.header, request.file, request.receipt)
        except AWAY:
            request.arrival.content.lend()
            return False
        metrics.ACKNOWLEDGED.labels("replicated").inc()
        return True

    def _commit(self, request: _Request) -> None:
        if self._spool is not None and self._spool.holds(request.study):
            raise NotSpooled("earlier instances of the study are on the spool, and [router.spool] no_spool is set")
        turn = self._breaker.turn(len(request.file.data), request.digest)
        if turn is None:
            raise self._breaker.away()
        with turn:
            self._archive.keep(request.arrival, request.header, request.file, request.receipt)
        metrics.ACKNOWLEDGED.labels("replicated").inc()

    def _put(self, spool: Spool, request: _Request) -> None:
        incoming = self._incoming(request)
        if self._drain is not None and self._settings.acknowledges(request.arrival.calling_ae) == "spool":
            self._drain.giving_way.sender_waits()
        if spool.repeated(incoming):
            metrics.SPOOL_REPEATED.inc()
        else:
            self._append(spool, incoming)
        metrics.ACKNOWLEDGED.labels("spool").inc()

    def _append(self, spool: Spool, incoming: Incoming) -> None:
        try:
            spool.append(incoming)
        except NotSpooled:
            if self._drain is not None:
                self._drain.giving_way.has_no_room()
            raise

    def _incoming(self, request: _Request) -> Incoming:
        arrival, receipt = request.arrival, request.receipt
        kept = Kept(
            tenant=self._archive.site.tenant,
            site=self._archive.site.site,
            lane=receipt.lane,
            trace=receipt.trace[0][1].decode(),
            study=request.study,
            file_head=len(request.file.data) - len(arrival.data_set),
            sop_class_uid=arrival.sop_class_uid,
            sop_instance_uid=arrival.sop_instance_uid,
            abstract_syntax=arrival.abstract_syntax,
            transfer_syntax_uid=arrival.transfer_syntax_uid,
            calling_ae=arrival.calling_ae,
            called_ae=arrival.called_ae,
            association=arrival.association,
            protocol=arrival.protocol,
            preamble=arrival.preamble,
        )
        received_ms = round(receipt.at.timestamp() * 1000)
        file = request.file
        return Incoming(kept, received_ms, request.digest, (file.data,), file.in_page)


@dataclass(frozen=True)
class _Request:
    """A request with what was made of it."""

    arrival: Arrival
    header: Header
    file: StoredFile
    receipt: Receipt

    @property
    def study(self) -> str:
        return self.header.uid(STUDY)

    @property
    def digest(self) -> bytes:
        return bytes.fromhex(self.file.sha256)


def _opened(settings: Settings) -> Spool | None:
    if settings.folder is None:
        return None
    # Where less than a segment is left, it is called full: of a small budget that is to be a small part.
    segment_bytes = min(settings.segment_bytes, settings.budget_bytes // _SEGMENTS_MIN)
    spool = Spool(settings.folder, Limits(settings.budget_bytes, settings.free_bytes_min), segment_bytes)
    try:
        spool.open()
    except OSError as error:
        what_to_do = "make it one that the router alone may write, or set another"
        if disk_is_full(error):
            what_to_do = (
                f"its disk is full, and {_what_waits(settings.folder)}. Delete nothing of that folder, make room "
                "elsewhere on the disk, and start the router again: then it drains what waits"
            )
        raise ConfigError(
            f"[router.spool] folder {settings.folder} cannot be used ({error.strerror}): {what_to_do}"
        ) from None
    return spool


def _what_waits(folder: Path) -> str:
    try:
        found = census(folder)
    except OSError:
        return "what waits in it could not be counted"
    return f"{len(found.waiting)} acknowledged instances wait in it ({found.bytes / (1 << 20):.1f} MiB)"
