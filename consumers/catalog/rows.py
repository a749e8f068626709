"""From an event to its rows. What each event fills is here; how rows merge is in `tables`."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from consumers.catalog.attributes import Described, Reader, patient_key
from consumers.catalog.tables import (
    ARRIVALS,
    AUDIT,
    BLOCKS,
    COPIES,
    DERIVATIONS,
    DERIVATIVES,
    FINDINGS,
    INSTANCES,
    PATIENTS,
    REVISIONS,
    SERIES,
    STUDIES,
    VERDICTS,
    Row,
    Rows,
)
from schemas import load_topics
from streams.events import (
    AuditEvent,
    Event,
    InstanceDerived,
    InstanceQuarantined,
    InstanceReceived,
    InstanceValidated,
    ObjectRef,
    OfInstance,
    StudyRevision,
)
from streams.step import Input

_LANES = load_topics().lanes


def rows_of(item: Input[Event], reader: Reader, rows: Rows) -> None:
    """Adds the rows of one event. Raises Away and Stop where a protected block cannot be read."""
    match item.event:
        case InstanceReceived() as event:
            _received(event, item, reader, rows)
        case InstanceValidated() as event:
            rows.add(VERDICTS, {**_verdict(event), "verdict": "validated", "code": None, "detail": None})
            _findings(event, rows)
        case InstanceQuarantined() as event:
            rows.add(
                VERDICTS, {**_verdict(event), "verdict": "quarantined", "code": event.code, "detail": event.detail}
            )
        case InstanceDerived() as event:
            _derived(event, rows)
        case StudyRevision() as event:
            rows.add(REVISIONS, _revision(event))
        case AuditEvent() as event:
            rows.add(AUDIT, _audit(event))


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
    rows.prefer(INSTANCES, _instance(event), _arrival, min)
    described = {ref.level: reader.read(ref) for ref in event.protected}
    if instance.study_uid:
        _study(event, described.get("study"), rows)
    if instance.study_uid and instance.series_uid:
        _series(event, described.get("series"), rows)


def _instance(event: InstanceReceived) -> Row:
    meta, instance = event.meta, event.instance
    return {
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


def _arrival(row: Row) -> tuple[Any, int]:
    return row["received_at"], _LANES.index(row["lane"])


def _spoken_by(event: InstanceReceived, described: Described | None) -> str:
    """The order of speakers: who has a block before who has none, then by arrival; text, compared bytewise."""
    stamp = max(0, int(event.meta.occurred_at.timestamp() * 1000))
    return f"{int(described is None)}/{stamp:020d}/{event.instance.digest}"


def _study(event: InstanceReceived, described: Described | None, rows: Rows) -> None:
    study_uid = event.instance.study_uid
    if described is not None:
        rows.add(BLOCKS, _block(event, "", described))
    patient = patient_key(described, study_uid) if described is not None and described.state == "open" else None
    if described is not None and patient is not None:
        rows.prefer(PATIENTS, _patient(event, patient, described), lambda row: row["spoken_by"], max)
    rows.speak(
        STUDIES,
        {
            "tenant": event.meta.tenant,
            "study_uid": study_uid,
            "patient_key": patient,
            **_said(event, described),
            "study_date": described.date("StudyDate") if described else None,
            "study_time": _text(described, "StudyTime"),
            "study_id": _text(described, "StudyID"),
            "accession_number": _text(described, "AccessionNumber"),
            "description": _text(described, "StudyDescription"),
            "referring_physician": _text(described, "ReferringPhysicianName"),
        },
    )


def _series(event: InstanceReceived, described: Described | None, rows: Rows) -> None:
    if described is not None:
        rows.add(BLOCKS, _block(event, event.instance.series_uid, described))
    rows.speak(
        SERIES,
        {
            "tenant": event.meta.tenant,
            "study_uid": event.instance.study_uid,
            "series_uid": event.instance.series_uid,
            **_said(event, described),
            "modality": event.technical.modality,
            "body_part": event.technical.body_part,
            "series_number": event.technical.series_number,
            "description": _text(described, "SeriesDescription"),
        },
    )


def _said(event: InstanceReceived, described: Described | None) -> dict[str, Any]:
    return {
        "block_id": described.ref.block_id if described else None,
        "block_state": described.state if described else None,
        "spoken_by": _spoken_by(event, described),
        "first_received_at": event.meta.occurred_at,
        "last_received_at": event.meta.occurred_at,
    }


def _text(described: Described | None, keyword: str) -> str | None:
    return (described.text(keyword) or None) if described else None


def _block(event: InstanceReceived, series_uid: str, described: Described) -> Row:
    return {
        "tenant": event.meta.tenant,
        "study_uid": event.instance.study_uid,
        "series_uid": series_uid,
        "block_id": described.ref.block_id,
        "store": described.ref.object.store,
        "object_key": described.ref.object.key,
        "state": described.state,
        "attributes": described.attributes if described.state == "open" else None,
    }


def _patient(event: InstanceReceived, key: str, described: Described) -> Row:
    date = described.date("StudyDate")
    said = {
        "issuer": described.text("IssuerOfPatientID"),
        "patient_id": described.text("PatientID"),
        "name": described.text("PatientName"),
        "birth_date": described.text("PatientBirthDate"),
        "sex": described.text("PatientSex"),
    }
    # The latest study names the patient. The values themselves end the order, so no two rows are equal in it.
    order = "/".join((date.isoformat() if date else "", event.instance.study_uid, *said.values()))
    return {"tenant": event.meta.tenant, "patient_key": key, **said, "spoken_by": order}


def _verdict(event: OfInstance) -> dict[str, Any]:
    return {
        "event_id": event.meta.event_id,
        "tenant": event.meta.tenant,
        "digest": event.instance.digest,
        "study_uid": event.instance.study_uid,
        "step": event.provenance.step,
        "generation": event.provenance.generation,
        "decided_at": event.meta.occurred_at,
        "provenance": event.provenance,
    }


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


def _derived(event: InstanceDerived, rows: Rows) -> None:
    of_event = {"event_id": event.meta.event_id, "tenant": event.meta.tenant, "digest": event.instance.digest}
    rows.add(
        DERIVATIONS,
        {
            **of_event,
            "study_uid": event.instance.study_uid,
            "generation": event.provenance.generation,
            "source_size": event.source_size,
            "notes": event.notes,
            "derived_at": event.meta.occurred_at,
            "provenance": event.provenance,
        },
    )
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
