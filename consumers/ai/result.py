"""What one deployed model is asked, and the event that says what became of it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from consumers.ai.analysis import Analysis, Draft
from streams.events import Event, InferenceResult, Meta, ModelRef, ResultFinding, ResultObject, Timings
from streams.generation import StepIdentity
from streams.step import Input

# Of the events of one request. `FAILED` has a number of its own: a redrive may still say `RESULT`.
RESULT, SR, SEG, FAILED = range(4)


@dataclass(frozen=True)
class Deployed:
    """A model as it runs here, and the identity that its results have."""

    analysis: Analysis
    identity: StepIdentity


@dataclass(frozen=True)
class Request:
    """One deployed model is asked about a series of a revision, an instance, or a revision as a whole.

    `began_at` is when the record was taken in hand. `input_digest` and `input_count` are of the instances to be read.
    """

    deployed: Deployed
    item: Input[Event]
    began_at: datetime
    study_uid: str
    subject: str
    input_digest: str
    input_count: int
    series_uid: str | None = None
    sop_instance_uid: str | None = None
    revision: int | None = None

    @property
    def model(self) -> ModelRef:
        return self.deployed.analysis.model

    @property
    def tenant(self) -> str:
        return self.item.event.meta.tenant

    def event_id(self, ordinal: int) -> str:
        return self.deployed.identity.event_id(self.tenant, self.subject, ordinal)

    def meta(self, ordinal: int, subject: str, at: datetime) -> Meta:
        of = self.item.event.meta
        return Meta(
            event_id=self.event_id(ordinal),
            tenant=of.tenant,
            site=of.site,
            lane=of.lane,
            subject=subject,
            occurred_at=at,
        )

    def named(self, drafts: Sequence[Draft]) -> tuple[ResultFinding, ...]:
        """The findings with their ids: uuid5 of the result's event id and the place."""
        result = uuid.UUID(self.event_id(RESULT))
        return tuple(draft.named(str(uuid.uuid5(result, str(place)))) for place, draft in enumerate(drafts))


@dataclass(frozen=True)
class Spent:
    """Milliseconds for one request, by what they went into."""

    read_ms: float = 0.0
    prepared_ms: float = 0.0
    inferred_ms: float = 0.0
    described_ms: float = 0.0


@dataclass(frozen=True)
class Reason:
    """Why there is no analysis. `code` is a stable name; `detail` a sentence without patient data."""

    outcome: Literal["not_analysed", "out_of_scope", "failed"]
    code: str
    detail: str


def analysed(
    request: Request,
    findings: tuple[ResultFinding, ...],
    objects: tuple[ResultObject, ...],
    spent: Spent,
    at: datetime,
) -> InferenceResult:
    return _result(request, RESULT, "analysed", spent, at, findings=findings, objects=objects)


def unanalysed(request: Request, reason: Reason, spent: Spent, at: datetime) -> InferenceResult:
    """Says explicitly that there is no analysis."""
    ordinal = FAILED if reason.outcome == "failed" else RESULT
    return _result(request, ordinal, reason.outcome, spent, at, code=reason.code, detail=reason.detail)


def _result(
    request: Request,
    ordinal: int,
    outcome: Literal["analysed", "not_analysed", "out_of_scope", "failed"],
    spent: Spent,
    at: datetime,
    *,
    code: str = "",
    detail: str = "",
    findings: tuple[ResultFinding, ...] = (),
    objects: tuple[ResultObject, ...] = (),
) -> InferenceResult:
    return InferenceResult(
        meta=request.meta(ordinal, request.subject, at),
        provenance=request.deployed.identity.provenance(request.item),
        study_uid=request.study_uid,
        input_digest=request.input_digest,
        input_count=request.input_count,
        outcome=outcome,
        model=request.model,
        timings=_timings(request, spent),
        series_uid=request.series_uid,
        sop_instance_uid=request.sop_instance_uid,
        revision=request.revision,
        code=code,
        detail=detail,
        findings=findings,
        objects=objects,
    )


def _timings(request: Request, spent: Spent) -> Timings:
    waited = request.began_at - request.item.event.meta.occurred_at
    return Timings(
        # Clocks of two machines: a wait is never less than none.
        waited_ms=max(0.0, waited.total_seconds() * 1000),
        read_ms=spent.read_ms,
        prepared_ms=spent.prepared_ms,
        inferred_ms=spent.inferred_ms,
        described_ms=spent.described_ms,
    )
