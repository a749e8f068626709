"""Which instances a C-MOVE or C-GET is about, and where their bytes are. Reading only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec
from psycopg.rows import class_row
from pydicom.dataset import Dataset

from consumers.catalog.database import Cursor
from gateway.dimse.models import ISSUER, UNIQUE, Level, Mismatch, check_levels_above, levels_of, single, values
from gateway.dimse.narrowing import SERVED, STUDIES, TOLD, VISIBLE, narrowed
from streams.events import Encryption, ObjectRef

_STUDIES: Final = f"""
SELECT s.study_uid, s.outside_issuer, c.event_id::text AS decision, c.block_state::text AS block_state,
    c.patient_id, c.patient_issuer, c.patient_name, c.birth_date, c.sex, c.accession_number, c.accession_issuer,
    c.procedure_id, c.decided_at
FROM {STUDIES}
{SERVED}
WHERE {VISIBLE} {{more}}
ORDER BY s.study_uid
"""
_INSTANCES: Final = f"""
SELECT v.study_uid, v.sop_instance_uid, v.sop_class_uid, v.transfer_syntax_uid, v.digest,
    v.rows, v.columns, v.frames, v.bits_allocated,
    to_jsonb(k) AS original, to_jsonb(l) AS lossless
FROM served_instances v
CROSS JOIN LATERAL (
    SELECT store, object_key, version_id, first_byte, length, size, sha256, encryption FROM copies k
    WHERE k.tenant = v.tenant AND k.digest = v.digest ORDER BY k.store, k.object_key LIMIT 1
) AS k
LEFT JOIN LATERAL (
    SELECT d.transfer_syntax_uid, d.store, d.object_key, d.version_id, d.first_byte, d.length, d.size, d.sha256,
        d.encryption
    FROM current_derivatives d
    WHERE d.tenant = v.tenant AND d.digest = v.digest AND d.kind = 'lossless' AND d.transfer_syntax_uid IS NOT NULL
    ORDER BY d.ordinal LIMIT 1
) AS l ON true
WHERE v.tenant = %(tenant)s AND v.study_uid = ANY(%(studies)s)
    AND (%(series)s::text[] IS NULL OR v.series_uid = ANY(%(series)s))
    AND (%(instances)s::text[] IS NULL OR v.sop_instance_uid = ANY(%(instances)s))
    AND v.sop_instance_uid <> '' AND v.sop_class_uid <> '' AND v.transfer_syntax_uid <> '' AND {TOLD}
ORDER BY v.study_uid, v.series_uid, v.instance_number NULLS LAST, v.sop_instance_uid
LIMIT %(limit)s
"""
# May still be shown, and as whose: of one moment, long after the list was made. Of what waits for a person, by no
# decision that anybody can have begun with.
_SHOWN: Final = f"""
SELECT v.digest, CASE WHEN {TOLD} THEN (
    SELECT c.event_id::text FROM current_imports c
    WHERE c.tenant = v.tenant AND c.study_uid = v.study_uid
) ELSE 'not_reconciled' END FROM served_instances v
WHERE v.tenant = %(tenant)s AND v.digest = ANY(%(digests)s)
"""
# By keyword in the identity of `streams.coercion`, the column.
_IDENTITY: Final = {
    "PatientID": "patient_id",
    "IssuerOfPatientID": "patient_issuer",
    "PatientName": "patient_name",
    "PatientBirthDate": "birth_date",
    "PatientSex": "sex",
    "AccessionNumber": "accession_number",
    "IssuerOfAccessionNumber": "accession_issuer",
    "RequestedProcedureID": "procedure_id",
}


class TooMany(Exception):
    """More instances than one retrieve may have."""


@dataclass(frozen=True)
class Identity:
    """Whose a study from outside is here. `values` are empty where that was erased since."""

    values: Mapping[str, str | list[str]]
    issuer: str
    at: datetime


@dataclass(frozen=True)
class Copy:
    """Bytes of an instance in a transfer syntax: a DICOM file."""

    transfer_syntax: str
    ref: ObjectRef


@dataclass(frozen=True)
class Wanted:
    """One instance. `copies` are the original and, where there is one, the stored lossless copy of it.

    `pixel_bytes` are those of its pixels where they are decoded, as far as the catalog tells. `decision` is the event
    that says whose its study is here, None where none does.
    """

    study_uid: str
    sop_instance: str
    sop_class: str
    digest: str
    copies: tuple[Copy, ...]
    identity: Identity | None
    pixel_bytes: int = 0
    decision: str | None = None

    @property
    def original(self) -> Copy:
        return self.copies[0]


class _Study(msgspec.Struct, frozen=True):
    study_uid: str
    outside_issuer: str | None
    decision: str | None
    block_state: str | None
    patient_id: str | None
    patient_issuer: str | None
    patient_name: str | None
    birth_date: str | None
    sex: str | None
    accession_number: str | None
    accession_issuer: str | None
    procedure_id: str | None
    decided_at: datetime | None

    @property
    def identity(self) -> Identity | None:
        if self.decision is None or self.decided_at is None:
            return None
        said = {keyword: getattr(self, column) or "" for keyword, column in _IDENTITY.items()}
        is_open = self.block_state == "open" and said["PatientID"]
        return Identity(said if is_open else {}, self.outside_issuer or "", self.decided_at)


class _Row(msgspec.Struct, frozen=True):
    study_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    digest: str
    rows: int | None
    columns: int | None
    frames: int | None
    bits_allocated: int | None
    original: dict[str, Any]
    lossless: dict[str, Any] | None

    @property
    def pixel_bytes(self) -> int:
        bits = self.bits_allocated or 0
        # Colour of more than 8 bits is rare.
        samples = 3 if bits <= 8 else 1
        return (self.rows or 0) * (self.columns or 0) * (self.frames or 1) * samples * bits // 8


def unique_keys(sop_class: str, level: Level, keys: Dataset, *, relational: bool) -> Dataset:
    """Of the identifier what says what is to be sent: nothing else counts (section C.4.2.2.1), but for whose number a
    Patient ID is. Raises Mismatch."""
    check_levels_above(sop_class, level, keys, relational=relational)
    levels = levels_of(sop_class)
    kept = Dataset()
    for one in levels[: levels.index(level) + 1]:
        said = values(keys, UNIQUE[one])
        if one == level and not said:
            raise Mismatch(f"{UNIQUE[one]} is not there, and says what to send")
        if one == "PATIENT" and said and single(keys, UNIQUE[one]) is None:
            raise Mismatch(f"{UNIQUE[one]} has to be one value")
        if said:
            setattr(kept, UNIQUE[one], said)
    if "PatientID" in kept and (issuer := single(keys, ISSUER)) is not None:
        setattr(kept, ISSUER, issuer)
    return kept


def selected(cursor: Cursor, tenant: str, keys: Dataset, instances_max: int) -> list[Wanted]:
    """By study, series and instance number. `keys` are those of `unique_keys`. Raises TooMany, BadKey."""
    where, asked = narrowed(keys, fuzzy=False)
    query = _STUDIES.replace("{more}", "".join(f" AND {one}" for one in where))
    with cursor.connection.cursor(row_factory=class_row(_Study)) as found:
        studies = {one.study_uid: one for one in found.execute(query.encode(), {"tenant": tenant, **asked})}
    wanted = {
        "tenant": tenant,
        "studies": list(studies),
        "series": values(keys, UNIQUE["SERIES"]) or None,
        "instances": values(keys, UNIQUE["IMAGE"]) or None,
        "limit": instances_max + 1,
    }
    with cursor.connection.cursor(row_factory=class_row(_Row)) as rows:
        read = rows.execute(_INSTANCES.encode(), wanted).fetchall()
    if len(read) > instances_max:
        raise TooMany
    return [_wanted(tenant, row, studies[row.study_uid]) for row in read]


def shown(cursor: Cursor, tenant: str, wanted: Sequence[Wanted]) -> dict[str, str | None]:
    """Of those that are neither held nor rejected, nor stand behind another content by now, the digest; and the
    decision that says whose the study is here by now."""
    asked = {"tenant": tenant, "digests": [one.digest for one in wanted]}
    return {str(digest): decision for digest, decision in cursor.execute(_SHOWN.encode(), asked).fetchall()}


def _wanted(tenant: str, row: _Row, study: _Study) -> Wanted:
    copies = [Copy(row.transfer_syntax_uid, _ref(tenant, row.original))]
    if row.lossless is not None:
        copies.append(Copy(str(row.lossless["transfer_syntax_uid"]), _ref(tenant, row.lossless)))
    uids = (row.study_uid, row.sop_instance_uid, row.sop_class_uid)
    return Wanted(*uids, row.digest, tuple(copies), study.identity, row.pixel_bytes, study.decision)


def _ref(tenant: str, row: Mapping[str, Any]) -> ObjectRef:
    encryption = row["encryption"]
    return ObjectRef(
        tenant=tenant,
        store=row["store"],
        key=row["object_key"],
        version_id=row["version_id"],
        offset=row["first_byte"],
        length=row["length"],
        size=row["size"],
        sha256=row["sha256"],
        encryption=None if encryption is None else msgspec.convert(encryption, Encryption),
    )
