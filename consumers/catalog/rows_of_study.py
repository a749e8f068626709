"""What a received event and its protected blocks say of patient, study and series."""

from __future__ import annotations

from typing import Any

from consumers.catalog.attributes import Described, patient_key
from consumers.catalog.table import Row
from consumers.catalog.tables import BLOCKS, PATIENTS, SERIES, STUDIES, Rows
from streams.events import InstanceReceived


def _spoken_by(event: InstanceReceived, described: Described | None) -> str:
    """The order of speakers: who has a block before who has none, then by arrival; text, compared bytewise."""
    stamp = max(0, int(event.meta.occurred_at.timestamp() * 1000))
    return f"{int(described is None)}/{stamp:020d}/{event.instance.digest}"


def add_study(event: InstanceReceived, described: Described | None, rows: Rows) -> None:
    study_uid = event.instance.study_uid
    if described is not None:
        rows.add(BLOCKS, _block(event, "", described))
    known = described is not None and described.state == "open"
    issuer = event.outside.issuer if event.outside else ""
    patient = patient_key(described, study_uid, event.meta.site, issuer) if described is not None and known else None
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
            "outside": event.outside.rule if event.outside else None,
            "outside_issuer": event.outside.issuer if event.outside else None,
        },
    )


def add_series(event: InstanceReceived, described: Described | None, rows: Rows) -> None:
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
        "issuer": described.text("IssuerOfPatientID") or (event.outside.issuer if event.outside else ""),
        "patient_id": described.text("PatientID"),
        "name": described.text("PatientName"),
        "birth_date": described.text("PatientBirthDate"),
        "sex": described.text("PatientSex"),
    }
    # The latest study names the patient. The values themselves end the order, so no two rows are equal in it.
    order = "/".join((date.isoformat() if date else "", event.instance.study_uid, *said.values()))
    return {"tenant": event.meta.tenant, "patient_key": key, **said, "spoken_by": order}
