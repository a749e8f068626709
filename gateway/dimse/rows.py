"""What the catalog says of patients, studies, series and instances, a page at a time. Reading only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor
from gateway.dimse.narrowing import SERVED, STUDIES, TOLD, VISIBLE, Asked

PAGE: Final = 200

_STUDIES = f"""
SELECT s.study_uid, s.study_date, s.study_time, s.study_id, s.accession_number, s.description, s.referring_physician,
    coalesce(b.attributes, '{{}}'::jsonb) AS attributes, s.outside_issuer, c.event_id IS NOT NULL AS reconciled,
    c.patient_id, c.patient_issuer, c.patient_name, c.birth_date, c.sex, c.accession_number AS local_accession
FROM {STUDIES}
{SERVED}
WHERE {VISIBLE} {{more}}
    AND (%(after_uid)s::text IS NULL
        OR (coalesce(s.study_date, '-infinity'), s.study_uid)
            < (coalesce(%(after_date)s::date, '-infinity'), %(after_uid)s::text COLLATE "C"))
ORDER BY coalesce(s.study_date, '-infinity'::date) DESC, s.study_uid DESC
LIMIT {PAGE}
"""
_OF_PATIENT = f"""
SELECT s.study_uid FROM {STUDIES}
{SERVED}
JOIN study_patients w ON w.tenant = s.tenant AND w.study_uid = s.study_uid
WHERE {VISIBLE} AND w.patient_key = ANY(%(patients)s)
"""
_PATIENTS = f"""
SELECT p.patient_key, p.patient_id, p.issuer, p.name, p.birth_date, p.sex FROM patients p
WHERE p.tenant = %(tenant)s AND p.patient_id <> '' {{more}}
    AND (%(after)s::text IS NULL OR p.patient_key > %(after)s::text COLLATE "C")
    AND EXISTS ({_OF_PATIENT.replace("ANY(%(patients)s)", "p.patient_key")})
ORDER BY p.patient_key LIMIT {PAGE}
"""
_SERIES = f"""
SELECT r.study_uid, r.series_uid, r.modality, coalesce(r.body_part, made.body_part) AS body_part, r.series_number,
    coalesce(r.description, made.description) AS description, coalesce(b.attributes, '{{}}'::jsonb) AS attributes
FROM series r
LEFT JOIN blocks b
    ON b.tenant = r.tenant AND b.study_uid = r.study_uid AND b.series_uid = r.series_uid AND b.block_id = r.block_id
LEFT JOIN LATERAL (
    SELECT * FROM result_series m
    WHERE m.tenant = r.tenant AND m.study_uid = r.study_uid AND m.series_uid = r.series_uid
    ORDER BY m.event_id LIMIT 1
) AS made ON r.block_id IS NULL
CROSS JOIN LATERAL (
    SELECT FROM served_instances v
    WHERE v.tenant = r.tenant AND v.study_uid = r.study_uid AND v.series_uid = r.series_uid AND {TOLD} LIMIT 1
) AS served
WHERE r.tenant = %(tenant)s AND r.study_uid = ANY(%(studies)s)
ORDER BY r.study_uid, r.series_number NULLS LAST, r.series_uid
"""
_INSTANCES = f"""
SELECT v.study_uid, v.series_uid, v.sop_instance_uid, v.sop_class_uid, v.transfer_syntax_uid, v.instance_number,
    v.rows, v.columns, v.frames, v.bits_allocated
FROM served_instances v
WHERE v.tenant = %(tenant)s AND v.study_uid = %(study_uid)s AND v.series_uid = %(series_uid)s
    AND {TOLD}
    AND (%(uids)s::text[] IS NULL OR v.sop_instance_uid = ANY(%(uids)s))
    AND (%(after)s::text IS NULL OR v.sop_instance_uid > %(after)s::text COLLATE "C")
ORDER BY v.sop_instance_uid LIMIT %(limit)s
"""
_SUMS = f"""
SELECT {{by}}, array_agg(DISTINCT v.modality) FILTER (WHERE v.modality IS NOT NULL) AS modalities,
    array_agg(DISTINCT v.sop_class_uid) AS sop_classes,
    count(DISTINCT v.series_uid) AS series, count(*) AS instances
FROM served_instances v WHERE v.tenant = %(tenant)s AND v.study_uid = ANY(%(studies)s) AND {TOLD} GROUP BY {{by}}
"""
# The slowest of an entity's instances says how fast all of it is there.
_AVAILABLE = f"""
SELECT {{by}}, max(v.place) FROM (
    SELECT v.study_uid, v.series_uid, v.sop_instance_uid, coalesce(min(
        CASE k.store WHEN 'hot' THEN 0 WHEN 'warm' THEN 0 WHEN 'cold' THEN 1 ELSE 2 END
    ), 2) AS place
    FROM served_instances v
    LEFT JOIN current_copies k ON k.tenant = v.tenant AND k.study_uid = v.study_uid AND k.digest = v.digest
    WHERE v.tenant = %(tenant)s AND v.study_uid = ANY(%(studies)s) AND {TOLD}
    GROUP BY 1, 2, 3
) AS v GROUP BY {{by}}
"""
AVAILABILITY: Final = ("ONLINE", "NEARLINE", "OFFLINE")


class Patient(msgspec.Struct, frozen=True):
    patient_key: str
    patient_id: str
    issuer: str
    name: str
    birth_date: str
    sex: str


class Study(msgspec.Struct, frozen=True):
    """`attributes` are those of its block; where it is `reconciled`, patient and accession number are what follows."""

    study_uid: str
    study_date: date | None
    study_time: str | None
    study_id: str | None
    accession_number: str | None
    description: str | None
    referring_physician: str | None
    attributes: dict[str, Any]
    outside_issuer: str | None
    reconciled: bool
    patient_id: str | None
    patient_issuer: str | None
    patient_name: str | None
    birth_date: str | None
    sex: str | None
    local_accession: str | None


class Series(msgspec.Struct, frozen=True):
    study_uid: str
    series_uid: str
    modality: str | None
    body_part: str | None
    series_number: int | None
    description: str | None
    attributes: dict[str, Any]


class Instance(msgspec.Struct, frozen=True):
    study_uid: str
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    instance_number: int | None
    rows: int | None
    columns: int | None
    frames: int | None
    bits_allocated: int | None


class Sums(msgspec.Struct, frozen=True):
    modalities: tuple[str, ...] = ()
    sop_classes: tuple[str, ...] = ()
    series: int = 0
    instances: int = 0


def studies(cursor: Cursor, tenant: str, wanted: Asked, after: Study | None) -> list[Study]:
    """The newest first; keyset pagination."""
    where, asked = wanted
    query = _STUDIES.replace("{more}", "".join(f" AND {one}" for one in where))
    place = {"after_date": after.study_date if after else None, "after_uid": after.study_uid if after else None}
    with cursor.connection.cursor(row_factory=class_row(Study)) as found:
        return found.execute(query.encode(), {"tenant": tenant, **asked, **place}).fetchall()


def patients(cursor: Cursor, tenant: str, wanted: Asked, after: Patient | None) -> list[Patient]:
    """Those who have a study that is shown; keyset pagination."""
    where, asked = wanted
    query = _PATIENTS.replace("{more}", "".join(f" AND {one}" for one in where))
    with cursor.connection.cursor(row_factory=class_row(Patient)) as found:
        place = {"after": after.patient_key if after else None}
        return found.execute(query.encode(), {"tenant": tenant, **asked, **place}).fetchall()


def of_patient(cursor: Cursor, tenant: str, patient_keys: Sequence[str]) -> list[str]:
    """The studies of patients that are shown."""
    asked = {"tenant": tenant, "patients": list(patient_keys)}
    return [str(uid) for (uid,) in cursor.execute(_OF_PATIENT.encode(), asked).fetchall()]


def series(cursor: Cursor, tenant: str, study_uids: Sequence[str]) -> list[Series]:
    with cursor.connection.cursor(row_factory=class_row(Series)) as found:
        return found.execute(_SERIES.encode(), {"tenant": tenant, "studies": list(study_uids)}).fetchall()


def instances(
    cursor: Cursor, tenant: str, of: Series, uids: Sequence[str], after: Instance | None, limit: int
) -> list[Instance]:
    """Of one series, those of `uids` where there are any; keyset pagination."""
    asked = {
        "tenant": tenant,
        "study_uid": of.study_uid,
        "series_uid": of.series_uid,
        "uids": list(uids) or None,
        "after": after.sop_instance_uid if after else None,
        "limit": limit,
    }
    with cursor.connection.cursor(row_factory=class_row(Instance)) as found:
        return found.execute(_INSTANCES.encode(), asked).fetchall()


def sums(cursor: Cursor, tenant: str, study_uids: Sequence[str], by: Sequence[str]) -> Mapping[tuple[str, ...], Sums]:
    """By the values of the columns `by`: of study_uid, series_uid and sop_instance_uid."""
    query = _SUMS.format(by=", ".join(f"v.{name}" for name in by))
    found = cursor.execute(query.encode(), {"tenant": tenant, "studies": list(study_uids)}).fetchall()
    count = len(by)
    return {
        tuple(row[:count]): Sums(tuple(row[count] or ()), tuple(row[count + 1]), *row[count + 2 :]) for row in found
    }


def availability(
    cursor: Cursor, tenant: str, study_uids: Sequence[str], by: Sequence[str]
) -> Mapping[tuple[str, ...], str]:
    """Instance Availability: hot and warm are ONLINE, cold is NEARLINE, a backup alone OFFLINE."""
    query = _AVAILABLE.format(by=", ".join(f"v.{name}" for name in by))
    found = cursor.execute(query.encode(), {"tenant": tenant, "studies": list(study_uids)}).fetchall()
    return {tuple(row[:-1]): AVAILABILITY[row[-1]] for row in found}
