"""N-ACTION of the Storage Commitment Push Model (PS3.4 annex J.3.2): kept as an event, then answered."""

from __future__ import annotations

import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

import structlog

from producers.dicom_router.arrival import SUCCESS
from producers.dicom_router.commitment.references import (
    DATA_SET_BYTES_MAX,
    REFERENCES_MAX,
    Asked,
    TooMany,
    Unreadable,
    read_asked,
)
from producers.dicom_router.commitment.requests import Requests, source_of
from producers.dicom_router.commitment.telling import INSTANCE, Telling
from producers.dicom_router.data_set import DataSet, Fate, Room
from producers.dicom_router.object_buffer import Budget, BufferPool
from producers.dicom_router.spool.record import short
from producers.dicom_router.upper_layer import command_set
from producers.dicom_router.upper_layer.messages import Request
from streams import metrics
from streams.events import Source
from streams.identity import uid_text
from streams.log import LogAway, LogRefused
from streams.sop_classes import STORAGE_COMMITMENT
from streams.titles import ae_title

# PS3.4 annex J.3.5: the one action on the one instance of the class.
REQUEST: Final = 1
# PS3.7 section 10.1.4.1.10.
PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_INSTANCE: Final = 0x0112
INVALID_ARGUMENT: Final = 0x0115
NO_SUCH_CLASS: Final = 0x0118
NO_SUCH_ACTION: Final = 0x0123
RESOURCE_LIMITATION: Final = 0x0213

# A requester waits so long for the response, at least; what is drained in order takes milliseconds.
_SPOOLED_S_MAX: Final = 5.0
_LOOK_S: Final = 0.1
# For all requests that are coming in, beyond 768 KiB for each.
_MEMORY_BYTES_MAX: Final = 16 << 20


class _Refused(NamedTuple):
    status: int
    reason: str


class Commit:
    """Used from the threads of all associations at once. `ae_title` is our own; `spooled` says whether one of some
    instances (`spool.record.short`) is acknowledged and not in the log yet."""

    response: Final = command_set.N_ACTION_RSP

    def __init__(
        self, requests: Requests, ae_title: str, telling: Telling, spooled: Callable[[AbstractSet[int]], bool]
    ) -> None:
        self._requests = requests
        self._spooled = spooled
        self._telling = telling
        self._ae_title = ae_title
        self._room = Room(
            object_bytes_max=DATA_SET_BYTES_MAX, memory=BufferPool(Budget(_MEMORY_BYTES_MAX)), disk=Budget(0)
        )

    def sink(self, request: Request) -> DataSet:
        return DataSet(self._room, "", "", request.context.transfer_syntax)

    def answer(self, request: Request, sink: DataSet | None) -> int:
        """The status: success only when the request is in the log."""
        source = source_of(ae_title(request.calling_ae), self._ae_title, request.association)
        try:
            status = self._status(request, sink, source)
        finally:
            if sink is not None:
                sink.done(reusable=True)
        metrics.COMMITMENT_REQUESTS.labels(f"{status:04X}").inc()
        return status

    def _status(self, request: Request, sink: DataSet | None, source: Source) -> int:
        refused = _not_ours(request)
        try:
            if refused is None:
                refused = self._kept(sink, request, source)
            if refused is None:
                return SUCCESS
            self._requests.refuse(source, *refused)
        except (LogAway, LogRefused, TimeoutError) as error:
            # Neither the request nor its refusal is in the log: the sender asks again.
            structlog.get_logger().error("commitment_request_not_kept", error=error, association=request.association)
            return PROCESSING_FAILURE
        return refused.status

    def _kept(self, sink: DataSet | None, request: Request, source: Source) -> _Refused | None:
        if sink is None:
            return _Refused(INVALID_ARGUMENT, "no data set says what is to be committed")
        if sink.fate is not Fate.HERE:
            return _Refused(RESOURCE_LIMITATION, f"the data set is not kept: {sink.fate.value}")
        try:
            with sink.view as view:
                asked = read_asked(view, request.context.transfer_syntax)
        except Unreadable as error:
            return _Refused(INVALID_ARGUMENT, str(error))
        except TooMany:
            return _Refused(RESOURCE_LIMITATION, f"more than {REFERENCES_MAX} instances, or too many bytes of UIDs")
        if self._wait_on_the_spool(asked):
            return _Refused(PROCESSING_FAILURE, "some of what is asked for waits on the router's spool yet")
        self._telling.expect(request)
        self._requests.keep(asked, source)
        return None

    def _wait_on_the_spool(self, asked: Asked) -> bool:
        """Whether what was received under these UIDs is not in the log yet, after a while.

        The archive may know of an older content under such a UID, and would promise that one.
        """
        instances = frozenset(short(uid) for group in asked.references for uid in group.sop_instance_uids)
        end_s = time.monotonic() + _SPOOLED_S_MAX
        while waits := self._spooled(instances):
            if time.monotonic() >= end_s:
                break
            time.sleep(_LOOK_S)
        return waits


def _not_ours(request: Request) -> _Refused | None:
    named = (request.context.abstract_syntax, uid_text(request.command.sop_class))
    if named != (STORAGE_COMMITMENT, STORAGE_COMMITMENT):
        return _Refused(NO_SUCH_CLASS, "an N-ACTION of another class than storage commitment")
    if uid_text(request.command.sop_instance) != INSTANCE:
        return _Refused(NO_SUCH_INSTANCE, "an N-ACTION on another instance than the well-known one")
    if request.command.action_type != REQUEST:
        return _Refused(NO_SUCH_ACTION, "an N-ACTION of another type than 1, request storage commitment")
    return None
