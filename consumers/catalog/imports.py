"""What people ask of studies from outside: which there are, as whose they came, whose they are here. Reading only."""

from __future__ import annotations

from datetime import date, datetime

import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor

IMPORTS_MAX = 1000

# Of one study, and of all there are: each is fast for itself alone.
_ADDED_TO_ONE = "f.outside IS NOT NULL"
_ADDED_TO_ANY = """i.study_uid IN (
    SELECT d.study_uid FROM study_identities d
    WHERE d.tenant = %(tenant)s AND d.outside IS NOT NULL AND d.standing <> 4
)"""
# `f` is what the first image from outside says, of a study that was ours first: whoever decides is to know of that.
_IMPORTS = """
SELECT i.study_uid, coalesce(i.outside, f.outside) AS outside, i.description, i.study_date,
    (SELECT s.first_received_at FROM studies s WHERE s.tenant = i.tenant AND s.study_uid = i.study_uid)
        AS first_received_at,
    i.last_received_at, f.outside IS NOT NULL AS added,
    {original},
    i.reconciled, i.event_id::text AS event_id, i.order_id, i.block_state::text AS block_state, i.patient_id,
    i.patient_issuer, i.patient_name, i.birth_date, i.sex, i.accession_number, i.accession_issuer, i.procedure_id,
    i.actor, i.why, i.why_state::text AS why_state, i.decided_at
FROM study_imports i
LEFT JOIN LATERAL (
    SELECT d.outside, d.block_state::text AS state, d.patient_id, d.issuer, d.name, d.birth_date, d.sex,
        d.accession_number AS accession
    FROM study_identities d
    JOIN instances o ON o.tenant = d.tenant AND o.study_uid = d.study_uid AND o.study_identity = d.identity
    WHERE d.tenant = i.tenant AND d.study_uid = i.study_uid AND d.outside IS NOT NULL
    ORDER BY o.received_at, o.digest LIMIT 1
) AS f ON i.outside IS NULL
WHERE i.tenant = %(tenant)s
    AND (%(study_uid)s::text IS NULL OR i.study_uid = %(study_uid)s)
    AND (i.is_import OR %(any_study)s OR {added})
    AND (NOT %(open)s OR NOT i.reconciled)
ORDER BY i.last_received_at DESC, i.study_uid
LIMIT %(limit)s
"""
_ORIGINAL = ("state", "patient_id", "issuer", "name", "birth_date", "sex", "accession")
# They have a study that was made here, or one that a person gave them.
_OURS = """(
    EXISTS (
        SELECT FROM studies s WHERE s.tenant = p.tenant AND s.patient_key = p.patient_key AND s.outside IS NULL
    )
    OR EXISTS (SELECT FROM current_imports c WHERE c.tenant = p.tenant AND c.patient_key = p.patient_key)
)"""
_PATIENTS = f"""
SELECT patient_id, issuer, name, birth_date, sex FROM patients p
WHERE tenant = %(tenant)s AND patient_id = %(patient_id)s
    AND (issuer = %(issuer)s::text OR %(issuer)s::text IS NULL AND {_OURS})
ORDER BY issuer, patient_key
"""
_ALIKE = f"""
SELECT patient_id, issuer, name, birth_date, sex FROM patients p
WHERE tenant = %(tenant)s AND patient_id <> '' AND (
    %(birth_date)s <> '' AND birth_date = %(birth_date)s
    OR %(family)s <> '' AND lower(split_part(split_part(name, '=', 1), '^', 1)) = lower(%(family)s)
) AND {_OURS}
ORDER BY birth_date = %(birth_date)s DESC, name, issuer, patient_key
LIMIT %(limit)s
"""
_INSTANCES = """
SELECT series_uid, sop_class_uid, sop_instance_uid, modality FROM served_instances
WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s AND series_uid <> '' AND sop_instance_uid <> ''
ORDER BY series_uid, sop_instance_uid
"""
_DECIDED = "SELECT EXISTS (SELECT FROM import_decisions WHERE event_id = %s)"


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """`original_...` is what the bytes say, and stays so; what follows `reconciled` is None unless it is.

    `outside` is the rule that said so, of one image at least; None where a person decided on a study of which no rule
    had said it. `added`: the study was made here, and what came from outside since was added to it; `original_...` is
    then what that says.
    """

    study_uid: str
    outside: str | None
    added: bool
    description: str | None
    study_date: date | None
    first_received_at: datetime
    last_received_at: datetime
    original_state: str | None
    original_patient_id: str | None
    original_issuer: str | None
    original_name: str | None
    original_birth_date: str | None
    original_sex: str | None
    original_accession: str | None
    reconciled: bool
    event_id: str | None
    order_id: str | None
    block_state: str | None
    patient_id: str | None
    patient_issuer: str | None
    patient_name: str | None
    birth_date: str | None
    sex: str | None
    accession_number: str | None
    accession_issuer: str | None
    procedure_id: str | None
    actor: str | None
    why: str | None
    why_state: str | None
    decided_at: datetime | None


class Imported(msgspec.Struct, frozen=True):
    """One instance of a study, as it is served."""

    series_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    modality: str | None


class Patient(msgspec.Struct, frozen=True):
    """A patient as the latest study names them."""

    patient_id: str
    issuer: str
    name: str
    birth_date: str
    sex: str


def imports(
    cursor: Cursor,
    tenant: str,
    *,
    study_uid: str | None = None,
    any_study: bool = False,
    open_only: bool = False,
    limit: int = IMPORTS_MAX,
) -> list[Import]:
    """The last received first; with `open_only` those that nobody reconciled yet.

    `any_study`: also those that neither a rule nor a person calls from outside.
    """
    asked = {"tenant": tenant, "study_uid": study_uid, "any_study": any_study, "open": open_only, "limit": limit}
    query = _IMPORTS.format(
        added=_ADDED_TO_ANY if study_uid is None else _ADDED_TO_ONE,
        original=", ".join(
            f"CASE WHEN f.outside IS NULL THEN i.original_{name}::text ELSE f.{name} END AS original_{name}"
            for name in _ORIGINAL
        ),
    )
    with cursor.connection.cursor(row_factory=class_row(Import)) as rows:
        return rows.execute(query.encode(), asked).fetchall()


def patients(cursor: Cursor, tenant: str, patient_id: str, issuer: str | None = None) -> list[Patient]:
    """Ours with this ID, more than one where several issuers gave it; with `issuer` whoever has it of them."""
    asked = {"tenant": tenant, "patient_id": patient_id, "issuer": issuer}
    with cursor.connection.cursor(row_factory=class_row(Patient)) as rows:
        return rows.execute(_PATIENTS.encode(), asked).fetchall()


def alike(cursor: Cursor, tenant: str, family: str, birth_date: str, limit: int) -> list[Patient]:
    """Ours with this family name, or this date of birth (YYYYMMDD), which come first. Empty ones match nobody."""
    asked = {"tenant": tenant, "family": family, "birth_date": birth_date, "limit": limit}
    with cursor.connection.cursor(row_factory=class_row(Patient)) as rows:
        return rows.execute(_ALIKE.encode(), asked).fetchall()


def instances(cursor: Cursor, tenant: str, study_uid: str) -> list[Imported]:
    """What of a study is here and can be read, series by series."""
    with cursor.connection.cursor(row_factory=class_row(Imported)) as rows:
        return rows.execute(_INSTANCES.encode(), {"tenant": tenant, "study_uid": study_uid}).fetchall()


def has_decision(cursor: Cursor, event_id: str) -> bool:
    """Whether the catalog has come to this decision."""
    found = cursor.execute(_DECIDED.encode(), (event_id,)).fetchone()
    return bool(found and found[0])
