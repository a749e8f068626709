"""What people decide on studies from outside: whose they are here, and for which order."""

from __future__ import annotations

from consumers.catalog.attributes import Reader, patient_key
from consumers.catalog.tables import Rows
from consumers.catalog.tables_of_imports import IMPORT_DECISIONS
from streams.events import ImportDecision

# By column, the keyword in the block.
_SAID = {
    "patient_id": "PatientID",
    "patient_issuer": "IssuerOfPatientID",
    "patient_name": "PatientName",
    "birth_date": "PatientBirthDate",
    "sex": "PatientSex",
    "accession_number": "AccessionNumber",
    "accession_issuer": "IssuerOfAccessionNumber",
    "procedure_id": "RequestedProcedureID",
}


def add_import(event: ImportDecision, offset: int, reader: Reader, rows: Rows) -> None:
    """Of several records of one event the first counts. Raises as `Reader.read`."""
    why = reader.read(event.why)
    said = None if event.identity is None else reader.read(event.identity)
    known = said if said is not None and said.state == "open" and said.text("PatientID") else None
    key = None if known is None else patient_key(known, event.study_uid, event.meta.site)
    row = {
        "event_id": event.meta.event_id,
        "tenant": event.meta.tenant,
        "study_uid": event.study_uid,
        "record_offset": offset,
        "action": event.action,
        "actor": event.actor,
        "order_id": event.order_id,
        "why_block_id": why.ref.block_id,
        "why_state": why.state,
        "why": why.text("Note") if why.state == "open" else None,
        "block_id": None if said is None else said.ref.block_id,
        "block_state": None if said is None else said.state,
        "patient_key": key,
        **{name: None if known is None else known.text(keyword) for name, keyword in _SAID.items()},
        "decided_at": event.meta.occurred_at,
    }
    rows.add(IMPORT_DECISIONS, row)
