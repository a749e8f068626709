"""What results of models, and reviews by people, say of a study."""

from __future__ import annotations

from consumers.catalog.attributes import Described, Reader
from consumers.catalog.table import Row
from consumers.catalog.tables import Rows
from consumers.catalog.tables_of_inference import INFERENCE_FINDINGS, INFERENCE_OBJECTS, INFERENCES, REVIEWS
from streams.events import InferenceResult, ResultFinding, ReviewEvent


def add_inference(event: InferenceResult | ReviewEvent, candidate: bool, reader: Reader, rows: Rows) -> None:
    """`candidate` says that a replay made it. Raises as `Reader.read`."""
    match event:
        case InferenceResult():
            _add_result(event, candidate, rows)
        case ReviewEvent():
            _add_review(event, reader.read(event.note) if event.note else None, rows)


def _add_result(event: InferenceResult, candidate: bool, rows: Rows) -> None:
    rows.prefer(INFERENCES, _result(event, candidate), _first, min)
    of_event = {"event_id": event.meta.event_id, "tenant": event.meta.tenant, "study_uid": event.study_uid}
    for place, finding in enumerate(event.findings):
        rows.add(INFERENCE_FINDINGS, {**of_event, "place": place, **_finding(finding)})
    for one in event.objects:
        instance = one.instance
        rows.add(
            INFERENCE_OBJECTS,
            {
                **of_event,
                "digest": instance.digest,
                "kind": one.kind,
                "series_uid": instance.series_uid,
                "sop_instance_uid": instance.sop_instance_uid,
                "sop_class_uid": instance.sop_class_uid,
            },
        )


def _result(event: InferenceResult, candidate: bool) -> Row:
    meta, model = event.meta, event.model
    return {
        "event_id": meta.event_id,
        "tenant": meta.tenant,
        "study_uid": event.study_uid,
        "series_uid": event.series_uid,
        "sop_instance_uid": event.sop_instance_uid,
        "revision": event.revision,
        "subject": meta.subject,
        "lane": meta.lane,
        "step": event.provenance.step,
        "generation": event.provenance.generation,
        "outcome": event.outcome,
        "code": event.code,
        "detail": event.detail,
        "status": event.status,
        "requires_review": event.requires_review,
        "model_name": model.name,
        "model_version": model.version,
        "model_digest": model.digest,
        "card_digest": model.card_digest,
        "backend": model.backend,
        "input_digest": event.input_digest,
        "input_count": event.input_count,
        "timings": event.timings,
        "said_at": meta.occurred_at,
        "provenance": event.provenance,
        "candidate": candidate,
    }


def _first(row: Row) -> tuple[object, ...]:
    return row["candidate"], row["said_at"], row["code"]


def _finding(finding: ResultFinding) -> Row:
    return {
        "finding_id": finding.finding_id,
        "category": finding.category,
        "code": finding.code,
        "location": finding.location,
        "geometry": finding.geometry,
        "measurements": finding.measurements,
        "confidence": finding.confidence,
        "severity": finding.severity,
    }


def _add_review(event: ReviewEvent, note: Described | None, rows: Rows) -> None:
    rows.add(
        REVIEWS,
        {
            "event_id": event.meta.event_id,
            "tenant": event.meta.tenant,
            "study_uid": event.study_uid,
            "result_event_id": event.result_event_id,
            "finding_id": event.finding_id,
            "verdict": event.verdict,
            "reviewer": event.reviewer,
            "note_block_id": event.note.block_id if event.note else None,
            "note_state": note.state if note else None,
            "note": note.text("Note") if note and note.state == "open" else None,
            "findings": event.findings,
            "reviewed_at": event.meta.occurred_at,
        },
    )
