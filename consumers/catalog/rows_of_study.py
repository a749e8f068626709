"""What a received event and its protected blocks say of patient, study and series. Whose word holds: `identities`."""

from __future__ import annotations

import hashlib
import json

from consumers.catalog.attributes import Described, patient_key
from consumers.catalog.table import Row
from consumers.catalog.tables import BLOCKS, SERIES, STUDIES, STUDY_IDENTITIES, Rows
from streams.events import InstanceReceived


def add_study(event: InstanceReceived, described: Described | None, rows: Rows) -> str:
    """Which of its study's identities the image gives."""
    if described is not None:
        rows.add(BLOCKS, _block(event, "", described))
    identity = _identity(event, described)
    rows.add(STUDY_IDENTITIES, identity)
    rows.widen(STUDIES, {"tenant": event.meta.tenant, "study_uid": event.instance.study_uid, **_times(event)})
    return str(identity["identity"])


def add_series(event: InstanceReceived, described: Described | None, rows: Rows) -> str:
    """The block that the image has of its series; empty where it has none."""
    if described is not None:
        rows.add(BLOCKS, _block(event, event.instance.series_uid, described))
    rows.widen(
        SERIES,
        {
            "tenant": event.meta.tenant,
            "study_uid": event.instance.study_uid,
            "series_uid": event.instance.series_uid,
            **_times(event),
        },
    )
    return described.ref.block_id if described is not None else ""


def _identity(event: InstanceReceived, described: Described | None) -> Row:
    study_uid, outside = event.instance.study_uid, event.outside
    rule, issuer = (outside.rule, outside.issuer) if outside else (None, None)
    known = described if described is not None and described.state == "open" else None
    patient = None if known is None else patient_key(known, study_uid, event.meta.site, issuer or "")
    block_id = described.ref.block_id if described is not None else None
    return {
        "tenant": event.meta.tenant,
        "study_uid": study_uid,
        # Of one study: short, as each of its images has it.
        "identity": hashlib.sha256(json.dumps([block_id, patient, rule, issuer]).encode()).hexdigest()[:32],
        "patient_key": patient,
        "block_id": block_id,
        "block_state": described.state if described is not None else None,
        "study_date": known.date("StudyDate") if known else None,
        "study_time": _text(known, "StudyTime"),
        "study_id": _text(known, "StudyID"),
        "accession_number": _text(known, "AccessionNumber"),
        "description": _text(known, "StudyDescription"),
        "referring_physician": _text(known, "ReferringPhysicianName"),
        "outside": rule,
        "outside_issuer": issuer,
        **_patient(study_uid, known, issuer or ""),
    }


def _patient(study_uid: str, known: Described | None, issuer: str) -> Row:
    if known is None:
        return dict.fromkeys(("issuer", "patient_id", "name", "birth_date", "sex", "spoken_by"))
    date = known.date("StudyDate")
    said = {
        "issuer": known.text("IssuerOfPatientID") or issuer,
        "patient_id": known.text("PatientID"),
        "name": known.text("PatientName"),
        "birth_date": known.text("PatientBirthDate"),
        "sex": known.text("PatientSex"),
    }
    # The latest study names the patient. The values themselves end the order, so no two rows are equal in it.
    return {**said, "spoken_by": "/".join((date.isoformat() if date else "", study_uid, *said.values()))}


def _times(event: InstanceReceived) -> Row:
    return {"first_received_at": event.meta.occurred_at, "last_received_at": event.meta.occurred_at}


def _text(known: Described | None, keyword: str) -> str | None:
    return (known.text(keyword) or None) if known else None


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
