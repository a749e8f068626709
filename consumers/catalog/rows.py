"""From an event to its rows. What each event fills is here; how rows merge is in `tables`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs

from consumers.catalog.attributes import Reader
from consumers.catalog.rows_of_assessment import add_assessment
from consumers.catalog.rows_of_commitment import add_commitment
from consumers.catalog.rows_of_forwarding import add_forward
from consumers.catalog.rows_of_imports import add_import
from consumers.catalog.rows_of_inference import add_inference
from consumers.catalog.rows_of_orders import add_ordering
from consumers.catalog.rows_of_quarantine import add_quarantine
from consumers.catalog.rows_of_study import add_series, add_study
from consumers.catalog.rows_of_tiering import add_tiering
from consumers.catalog.table import Row
from consumers.catalog.tables import (
    ARRIVALS,
    AUDIT,
    COPIES,
    DERIVATIONS,
    DERIVATIVES,
    FINDINGS,
    GENERATIONS,
    INSTANCES,
    REVISIONS,
    VERDICTS,
    Rows,
)
from schemas import load_topics
from streams.events import (
    AccessRead,
    AuditEvent,
    CommitmentReport,
    CommitmentRequest,
    CommitmentResult,
    Event,
    ForwardResult,
    HoldCommand,
    ImportDecision,
    InferenceResult,
    InstanceDerived,
    InstanceQuarantined,
    InstanceReceived,
    InstanceValidated,
    MppsEvent,
    ObjectRef,
    OfInstance,
    OrderCommand,
    QuarantineCommand,
    ReviewEvent,
    StepGeneration,
    StudyAssessed,
    StudyRevision,
    TierMoved,
)
from streams.origin import first_offset
from streams.replays import TOPIC as REPLAYS
from streams.step import Input

_LANES = load_topics().lanes


def rows_of(item: Input[Event], reader: Reader, rows: Rows) -> None:
    """Adds the rows of one event. Raises Away and Stop where a protected block cannot be read."""
    match item.event:
        case InstanceReceived() as event:
            _received(event, item, reader, rows)
        case InstanceValidated() as event:
            said: dict[str, str | None] = {"code": None, "detail": None, "metadata_sha256": event.metadata_sha256}
            _judged(event, item, rows, verdict="validated", **said)
            _findings(event, rows)
        case InstanceQuarantined() as event:
            why = {"code": event.code, "detail": event.detail, "metadata_sha256": None}
            _judged(event, item, rows, verdict="quarantined", **why)
        case InstanceDerived() as event:
            _derived(event, item, rows)
        case StudyRevision() | StudyAssessed() | AuditEvent() | StepGeneration() as event:
            _stated(event, rows)
        case TierMoved() | HoldCommand() | AccessRead() as event:
            add_tiering(event, reader, rows)
        case ForwardResult() | CommitmentRequest() | CommitmentResult() | CommitmentReport() as event:
            _outward(event, rows)
        case InferenceResult() | ReviewEvent() as event:
            add_inference(event, item.record.topic == REPLAYS, reader, rows)
        case OrderCommand() | MppsEvent() | ImportDecision() | QuarantineCommand() as event:
            _in_order(event, first_offset(item.record), reader, rows)


def _in_order(
    event: OrderCommand | MppsEvent | ImportDecision | QuarantineCommand, offset: int, reader: Reader, rows: Rows
) -> None:
    """Of which the last word holds: what is to be done, how it is being done, and what people decided."""
    match event:
        case ImportDecision():
            add_import(event, offset, reader, rows)
        case QuarantineCommand():
            add_quarantine(event, offset, reader, rows)
        case _:
            add_ordering(event, offset, reader, rows)


def _outward(event: ForwardResult | CommitmentRequest | CommitmentResult | CommitmentReport, rows: Rows) -> None:
    """What passed between us and others' nodes."""
    if isinstance(event, ForwardResult):
        add_forward(event, rows)
    else:
        add_commitment(event, rows)


def _received(event: InstanceReceived, item: Input[Event], reader: Reader, rows: Rows) -> None:
    meta, instance, record = event.meta, event.instance, item.record
    rows.add(
        ARRIVALS,
        {
            "topic_id": record.topic_id,
            "partition": record.partition,
            "record_offset": record.offset,
            "tenant": meta.tenant,
            "event_id": meta.event_id,
            "digest": instance.digest,
            "lane": meta.lane,
            "protocol": event.source.protocol,
            "calling_ae": event.source.calling_ae,
            "called_ae": event.source.called_ae,
            "association": event.source.association,
            "received_at": meta.occurred_at,
        },
    )
    rows.add(COPIES, {"tenant": meta.tenant, "digest": instance.digest, **_place(event.object)})
    described = {ref.level: reader.read(ref) for ref in event.protected}
    said: dict[str, str | None] = {"study_identity": None, "series_block_id": None}
    if instance.study_uid:
        said["study_identity"] = add_study(event, described.get("study"), rows)
    if instance.study_uid and instance.series_uid:
        said["series_block_id"] = add_series(event, described.get("series"), rows)
    rows.prefer(INSTANCES, _instance(event, said), _arrival, min)


def _instance(event: InstanceReceived, said: Mapping[str, str | None]) -> Row:
    meta, instance = event.meta, event.instance
    return {
        **said,
        "tenant": meta.tenant,
        "sop_instance_uid": instance.sop_instance_uid,
        "digest": instance.digest,
        "event_id": meta.event_id,
        "study_uid": instance.study_uid,
        "series_uid": instance.series_uid,
        "sop_class_uid": instance.sop_class_uid,
        "transfer_syntax_uid": instance.transfer_syntax_uid,
        "site": meta.site,
        "size": event.object.length,
        "lane": meta.lane,
        "received_at": meta.occurred_at,
        "provenance": event.provenance,
        **structs.asdict(event.technical),
    }


def _arrival(row: Row) -> tuple[Any, int, str]:
    return row["received_at"], _LANES.index(row["lane"]), row["study_identity"] or ""


def _judged(event: OfInstance, item: Input[Event], rows: Rows, **verdict: str | None) -> None:
    row = {
        "event_id": event.meta.event_id,
        "tenant": event.meta.tenant,
        "digest": event.instance.digest,
        "study_uid": event.instance.study_uid,
        "step": event.provenance.step,
        "generation": event.provenance.generation,
        "decided_at": event.meta.occurred_at,
        "provenance": event.provenance,
        "candidate": item.record.topic == REPLAYS,
        **verdict,
    }
    rows.prefer(VERDICTS, row, _is_candidate, min)


def _is_candidate(row: Row) -> bool:
    return bool(row["candidate"])


def _findings(event: InstanceValidated, rows: Rows) -> None:
    for ordinal, finding in enumerate(event.findings):
        rows.add(
            FINDINGS,
            {
                "event_id": event.meta.event_id,
                "ordinal": ordinal,
                "tenant": event.meta.tenant,
                "digest": event.instance.digest,
                **structs.asdict(finding),
            },
        )


def _derived(event: InstanceDerived, item: Input[Event], rows: Rows) -> None:
    of_event = {"event_id": event.meta.event_id, "tenant": event.meta.tenant, "digest": event.instance.digest}
    row = {
        **of_event,
        "study_uid": event.instance.study_uid,
        "generation": event.provenance.generation,
        "source_size": event.source_size,
        "notes": event.notes,
        "derived_at": event.meta.occurred_at,
        "provenance": event.provenance,
        "candidate": item.record.topic == REPLAYS,
    }
    rows.prefer(DERIVATIONS, row, _is_candidate, min)
    for ordinal, made in enumerate(event.representations):
        rows.add(
            DERIVATIVES,
            {
                **of_event,
                "ordinal": ordinal,
                "kind": made.kind,
                "media_type": made.media_type,
                "transfer_syntax_uid": made.transfer_syntax_uid,
                "rows": made.rows,
                "columns": made.columns,
                "frames": made.frames,
                **_place(made.object),
            },
        )


def _place(ref: ObjectRef) -> dict[str, Any]:
    return {
        "store": ref.store,
        "object_key": ref.key,
        "version_id": ref.version_id,
        "first_byte": ref.offset,
        "length": ref.length,
        "size": ref.size,
        "sha256": ref.sha256,
        "encryption": ref.encryption,
    }


def _stated(event: StudyRevision | StudyAssessed | AuditEvent | StepGeneration, rows: Rows) -> None:
    match event:
        case StudyAssessed():
            add_assessment(event, rows)
        case StudyRevision():
            rows.add(REVISIONS, _revision(event))
        case AuditEvent():
            rows.add(AUDIT, _audit(event))
        case StepGeneration():
            rows.add(GENERATIONS, _generation(event))


def _revision(event: StudyRevision) -> Row:
    return {
        "tenant": event.meta.tenant,
        "study_uid": event.study_uid,
        "revision": event.revision,
        "event_id": event.meta.event_id,
        "instance_count": event.instance_count,
        "set_digest": event.set_digest,
        "manifest": event.manifest,
        "covers": event.covers,
        "first_received_at": event.first_received_at,
        "last_received_at": event.last_received_at,
        "removals": event.removals,
        "decided_at": event.meta.occurred_at,
        "provenance": event.provenance,
    }


def _audit(event: AuditEvent) -> Row:
    return {
        "event_id": event.meta.event_id,
        "tenant": event.meta.tenant,
        "site": event.meta.site,
        "subject": event.meta.subject,
        "actor": event.actor,
        "action": event.action,
        "outcome": event.outcome,
        "reason": event.reason,
        "attributes": event.attributes,
        "occurred_at": event.meta.occurred_at,
    }


def _generation(event: StepGeneration) -> Row:
    return {
        "event_id": event.meta.event_id,
        "tenant": event.meta.tenant,
        "step": event.step,
        "number": event.number,
        "phase": event.phase,
        "digest": event.digest,
        "build": event.build,
        "config_digest": event.config_digest,
        "models": event.models,
        "replay": event.replay,
        "said_at": event.meta.occurred_at,
    }
