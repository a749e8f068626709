"""A C-STORE request becomes a status (PS3.7 section 9.1.1, PS3.4 annex B.2.3)."""

from __future__ import annotations

from typing import Protocol

import structlog

from producers.dicom_router.arrival import OUT_OF_RESOURCES, STORE_REFUSES, SUCCESS, Arrival, Refusal, refusal
from producers.dicom_router.data_set import Fate
from producers.dicom_router.header import Header, read_header
from producers.dicom_router.spool.incoming import NotSpooled
from streams.clock import Clock
from streams.health import Health
from streams.log import LogAway, LogClosed, LogRefused
from streams.objects import Damaged, StoreAway, StoreRefused

# What is behind a failed write, as readiness says it.
_WHY: dict[type[Exception], str] = {
    StoreAway: "the store did not take an object; senders are told to try again (0xA700)",
    LogAway: "the log did not acknowledge an event; senders are told to try again (0xA700)",
    TimeoutError: "the log did not acknowledge an event in time; senders are told to try again (0xA700)",
    LogRefused: "the log refused an event; see the broker's log and its ACLs",
    NotSpooled: "store or log are away and the spool takes no more; senders are told to try again (0xA700)",
    Damaged: "the store holds damaged bytes; see object_damaged in this service's log",
}
_NOT_KEPT = tuple(_WHY)
_UNREADY_S = 5.0
# Readiness stays: the router takes all else, and is no better for being passed by.
_NO_ROOM = (
    "no memory and no disk for a large object that came in; its sender is told to try again (0xA700). Its disk is to "
    "have more than twice [router.spool] free_bytes_min free, and [router] objects_disk_bytes_max more than what comes "
    "at once"
)
_NO_ROOM_S = 60.0


class Keeper(Protocol):
    """What an archive does (`archive.Archive`). Called from the threads of all associations at once."""

    def keep(self, arrival: Arrival, header: Header) -> object:
        """Returns when the promise holds, and raises otherwise. Lets go of the arrival's bytes before."""

    def refuse(self, arrival: Arrival, refusal: Refusal) -> None:
        """Accounts for a request of which nothing is kept."""


class Receiver:
    """Answers C-STORE requests: 0x0000 only after what was sent is durable."""

    def __init__(self, keeping: Keeper, health: Health, clock: Clock) -> None:
        self._keeping = keeping
        self._health = health
        self._clock = clock
        self._failed_at: float | None = None
        self._full_at: float | None = None

    def answer(self, arrival: Arrival) -> int:
        """The status of one request. Whatever fails, nothing is acknowledged that is not durable."""
        log = structlog.get_logger()
        if arrival.content.fate is Fate.NO_ROOM:
            return self._without_room(arrival)
        try:
            header = read_header(arrival.data_set, arrival.transfer_syntax_uid)
            if refused := refusal(arrival, header):
                self._keeping.refuse(arrival, refused)
                return refused.status
            return self._kept(arrival, header)
        except _NOT_KEPT as error:
            return self._failed(arrival, error)
        except Exception:
            # Nobody planned this one. The sender keeps its copy and the association goes on.
            log.error("instance_failed", association=arrival.association, exc_info=True)
            return OUT_OF_RESOURCES

    def _kept(self, arrival: Arrival, header: Header) -> int:
        """What the store refuses is this object's fault: the router is as ready as before. Raises as `Keeper`."""
        try:
            self._keeping.keep(arrival, header)
        except StoreRefused as error:
            structlog.get_logger().error("instance_refused", association=arrival.association, reason=str(error))
            refused = Refusal(STORE_REFUSES, str(error))
            self._keeping.refuse(arrival, refused)
            return refused.status
        return SUCCESS

    def settle(self) -> None:
        """Readiness says yes again some seconds after the last failure: without traffic, nothing else would."""
        now = self._clock.monotonic()
        if self._failed_at is not None and now - self._failed_at > _UNREADY_S:
            self._failed_at = None
            self._health.ready("commit", True)
        if self._full_at is not None and now - self._full_at > _NO_ROOM_S:
            self._full_at = None
            self._health.warn("room", "")

    def _without_room(self, arrival: Arrival) -> int:
        self._full_at = self._clock.monotonic()
        self._health.warn("room", _NO_ROOM)
        structlog.get_logger().error("instance_not_kept", reason="no room", association=arrival.association)
        return OUT_OF_RESOURCES

    def _failed(self, arrival: Arrival, error: Exception) -> int:
        why = next(text for kind, text in _WHY.items() if isinstance(error, kind))
        if isinstance(error, LogClosed):
            # Which topic or password it is: the log's own words are ours.
            why = f"{why} ({error})"
        self._failed_at = self._clock.monotonic()
        self._health.ready("commit", False, why)
        name = "object_damaged" if isinstance(error, Damaged) else "instance_not_kept"
        structlog.get_logger().error(name, error=error, association=arrival.association)
        return OUT_OF_RESOURCES
