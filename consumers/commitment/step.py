"""The step: a request is judged when its instances are safe or its time is over; a result is told to who asked.

Both wait in the retry topic, which is all the memory there is: who is killed in between goes on where it was. What is
said of a request depends on when it is judged, so it is kept first, and who comes second says the same
(docs/decisions/0037).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec
from msgspec import structs

from consumers.commitment.catalog import Knowing
from consumers.commitment.config import Settings
from consumers.commitment.judging import Judged, judge
from consumers.commitment.telling import Teller, Told, busy
from streams import metrics
from streams.clock import Clock
from streams.commitment_report import is_taken
from streams.commitment_turns import TURN_S, Turns
from streams.events import CommitmentReport, CommitmentRequest, CommitmentResult, Event, Meta
from streams.generation import StepIdentity
from streams.identity import derived_key
from streams.objects import StoreAway
from streams.step import Away, DeadLetter, Done, Input, NewObject, Outcome, RetryLater, Stored

NAME: Final = "commitment"
STORE: Final = "hot"
_RESULT, _DELIVERED, _ABANDONED = range(3)
# An association on which somebody asked so long ago is not waited for: nearly all are over.
_OPEN_MAX: Final = timedelta(minutes=10)
# Time ends what waits, never a count.
_TRIES_MAX: Final = 2**31

# Worked out here, by the one thread that imports (streams/wire.py says why).
_DECODER = msgspec.json.Decoder(CommitmentResult)
_ENCODER = msgspec.json.Encoder()


class Commitment:
    """Implements `streams.step.Step`. `identity` is that of facts: what was said was said once."""

    name = NAME

    def __init__(
        self,
        identity: StepIdentity,
        known: Knowing,
        teller: Teller,
        turns: Turns,
        settings: Settings,
    ) -> None:
        self._identity = identity
        self._turns = turns
        self._known = known
        self._teller = teller
        self._settings = settings

    def __call__(self, batch: Sequence[Input[Event]], clock: Clock) -> Sequence[Outcome]:
        return [self._one(item, clock) for item in batch]

    def _one(self, item: Input[Event], clock: Clock) -> Outcome:
        match item.event:
            case CommitmentRequest() as request:
                return self._judge(item, request, clock)
            case CommitmentResult() as result:
                return self._tell(item, result, clock)
        return DeadLetter("neither a request for storage commitment nor a result")

    # A request.

    def _judge(self, item: Input[Event], request: CommitmentRequest, clock: Clock) -> Outcome:
        try:
            known = self._known.of(request)
        except Away as error:
            return RetryLater(str(error), "world")
        if known.is_behind:
            # However late: what is known may be an image that its sender has replaced since.
            return _later("the catalog does not have all yet that had arrived before")
        judged = judge(request, known, self._settings.copies)
        if not _is_over(request.meta.occurred_at, self._settings.deadline_s, clock):
            if known.first_request is None:
                return _later("the catalog does not have the request yet")
            if judged.open:
                return _later(f"{judged.open} of its instances are not safe yet")
        result = self._result(item, request, judged, clock)
        key = derived_key(result.meta.tenant, result.meta.event_id)
        new = NewObject(result.meta.tenant, STORE, key, _ENCODER.encode(result))
        return Done(objects=(new,), events=lambda stored: (_said(stored[0], clock),))

    def _result(self, item: Input[Event], request: CommitmentRequest, judged: Judged, clock: Clock) -> CommitmentResult:
        return CommitmentResult(
            meta=self._meta(request.meta, request.meta.event_id, _RESULT, clock),
            provenance=self._identity.provenance(item),
            transaction_uid=request.transaction_uid,
            source=request.source,
            request_event_id=request.meta.event_id,
            requested_at=request.meta.occurred_at,
            copies=self._settings.copies,
            committed=judged.committed,
            failed=judged.failed,
        )

    # A result.

    def _tell(self, item: Input[Event], result: CommitmentResult, clock: Clock) -> Outcome:
        told = self._told(result, clock)
        if isinstance(told, str):
            return _later(told)
        if told.outcome == "delivered":
            return Done.emit(self._report(item, result, told, "delivered", clock))
        if told.outcome == "busy":
            return RetryLater(told.why, "turn", attempts_max=_TRIES_MAX)
        if not _is_over(result.meta.occurred_at, self._settings.report_s_max, clock):
            return _later(told.why)
        metrics.COMMITMENT_REPORTS.labels(told.node or "-", "abandoned").inc()
        return Done.emit(self._report(item, result, told, "abandoned", clock))

    def _told(self, result: CommitmentResult, clock: Clock) -> Told | str:
        """What came of a try, or of that of the association that asked; or why to wait for that."""
        is_young = result.meta.occurred_at - result.requested_at < _OPEN_MAX
        if is_young and not _is_over(result.meta.occurred_at, self._settings.association_first_s, clock):
            return "the association that asked may be open still"
        # Before the store is asked: it may be long until its turn has come.
        if self._teller.is_telling(result.source.calling_ae):
            return busy(result.source.calling_ae)
        can_tell = self._teller.knows(result.source.calling_ae)
        try:
            # Whom we cannot tell, the association may yet.
            turn = self._turns.take(result, "service")[0] if can_tell else None
            if turn is None or turn.whose == "association":
                there = self._turns.told(result)
                if there is not None and there.status is not None and is_taken(there.status):
                    return Told("delivered", status=there.status)
                if turn is not None and there is None and not _is_over(turn.at, TURN_S, clock):
                    return "the association that asked is being told"
        except StoreAway as error:
            return str(error)
        return self._teller.tell(result)

    def _report(
        self,
        item: Input[Event],
        result: CommitmentResult,
        told: Told,
        outcome: Literal["delivered", "abandoned"],
        clock: Clock,
    ) -> CommitmentReport:
        ordinal = _DELIVERED if outcome == "delivered" else _ABANDONED
        return CommitmentReport(
            meta=self._meta(result.meta, result.request_event_id, ordinal, clock),
            provenance=self._identity.provenance(item),
            transaction_uid=result.transaction_uid,
            source=result.source,
            request_event_id=result.request_event_id,
            outcome=outcome,
            node=told.node,
            status=told.status,
            detail=told.why,
        )

    def _meta(self, of: Meta, request: str, ordinal: int, clock: Clock) -> Meta:
        event = self._identity.event_id(of.tenant, request, ordinal)
        return structs.replace(of, event_id=event, subject=request, occurred_at=clock.now())


def _later(reason: str) -> RetryLater:
    return RetryLater(reason, "subject", attempts_max=_TRIES_MAX)


def _is_over(since: datetime, seconds: float, clock: Clock) -> bool:
    return clock.now() >= since + timedelta(seconds=seconds)


def _said(stored: Stored, clock: Clock) -> CommitmentResult:
    """What is kept, said now: who asks again is told again, for as long as the first time."""
    result = _DECODER.decode(stored.data)
    if stored.created:
        for group in result.committed:
            metrics.COMMITMENT_INSTANCES.labels("committed").inc(len(group.sop_instance_uids))
        for failed in result.failed:
            metrics.COMMITMENT_INSTANCES.labels(f"{failed.reason:04X}").inc(len(failed.sop_instance_uids))
    return structs.replace(result, meta=structs.replace(result.meta, occurred_at=clock.now()))
