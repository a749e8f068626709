"""What of an identifier the database can narrow down; `streams.dimse.matching` decides."""

from __future__ import annotations

import re
from datetime import date
from typing import Any, Final

from pydicom.dataset import Dataset

from gateway.dimse.models import ISSUER, plain, single, values
from streams.dimse.matching import BadKey, day_range, words_of

# What is visible, and to whom it belongs: `s` studies, `b` its block, `c` whose it is here. A study from outside that
# nobody has reconciled is not told: who asks might take its patient for one of ours (docs/decisions/0063).
STUDIES: Final = """studies s
LEFT JOIN blocks b
    ON b.tenant = s.tenant AND b.study_uid = s.study_uid AND b.series_uid = '' AND b.block_id = s.block_id
LEFT JOIN current_imports c ON c.tenant = s.tenant AND c.study_uid = s.study_uid"""
VISIBLE: Final = "s.tenant = %(tenant)s AND (s.outside IS NULL OR c.event_id IS NOT NULL)"
# Of a study that was ours first, what came since its first image from outside waits as well, whoever brought it: it may
# have another hospital's Patient ID in it (docs/decisions/0092). `v` are served instances.
TOLD: Final = """(
    NOT EXISTS (
        SELECT FROM study_identities d
        JOIN instances o ON o.tenant = d.tenant AND o.study_uid = d.study_uid AND o.study_identity = d.identity
        WHERE d.tenant = v.tenant AND d.study_uid = v.study_uid AND d.outside IS NOT NULL
            AND (o.received_at, o.digest) <= (v.received_at, v.digest)
        OFFSET 0
    )
    OR EXISTS (SELECT FROM current_imports c WHERE c.tenant = v.tenant AND c.study_uid = v.study_uid)
)"""
# LIMIT keeps the planner from looking at all instances that there are.
SERVED: Final = f"""CROSS JOIN LATERAL (
    SELECT FROM served_instances v WHERE v.tenant = s.tenant AND v.study_uid = s.study_uid AND {TOLD} LIMIT 1
) AS served"""
_NAME = "CASE WHEN c.event_id IS NULL THEN b.attributes->>'PatientName' ELSE c.patient_name END"
# Letters without case and accents, as far as ASCII goes; a key's other letters stand for anything.
_PLAIN = (
    "lower(regexp_replace(normalize(replace(replace({0}, 'ß', 'ss'), 'ẞ', 'ss'), NFKD), '[^\\x01-\\x7f]', '', 'g'))"
)
_FIRST, _LAST = date(1, 1, 1), date(9999, 12, 31)

Asked = tuple[list[str], dict[str, Any]]


def narrowed(keys: Dataset, *, fuzzy: bool) -> Asked:
    """Conditions on STUDIES and their parameters. Raises BadKey."""
    where: list[str] = []
    asked: dict[str, Any] = {}
    if studies := values(keys, "StudyInstanceUID"):
        where.append("s.study_uid = ANY(%(studies)s)")
        asked["studies"] = studies
    for keyword, column in (("SeriesInstanceUID", "series_uid"), ("SOPInstanceUID", "sop_instance_uid")):
        if not studies and (uids := values(keys, keyword)):
            where.append(
                "s.study_uid IN (SELECT study_uid FROM instances "
                f"WHERE tenant = %(tenant)s AND {column} = ANY(%({column})s))"
            )
            asked[column] = uids
    if (patient := single(keys, "PatientID")) is not None:
        where.append(
            "s.study_uid IN (SELECT w.study_uid FROM study_patients w JOIN patients p USING (tenant, patient_key) "
            "WHERE w.tenant = %(tenant)s AND p.patient_id = %(patient)s "
            "AND (%(issuer)s::text IS NULL OR p.issuer = %(issuer)s))"
        )
        asked["patient"], asked["issuer"] = patient, single(keys, ISSUER)
    if (accession := single(keys, "AccessionNumber")) is not None:
        where.append(
            "s.study_uid IN (SELECT study_uid FROM studies WHERE tenant = %(tenant)s AND accession_number = %(acc)s "
            "UNION ALL SELECT study_uid FROM current_imports WHERE tenant = %(tenant)s AND accession_number = %(acc)s)"
        )
        asked["acc"] = accession
    _dates(keys, where, asked)
    if modalities := plain(keys, "ModalitiesInStudy"):
        where.append(
            "EXISTS (SELECT FROM instances i WHERE i.tenant = s.tenant AND i.study_uid = s.study_uid "
            "AND i.modality = ANY(%(modalities)s))"
        )
        asked["modalities"] = modalities
    if pattern := names(keys, fuzzy=fuzzy):
        where.append(f"{_PLAIN.format(_NAME)} LIKE ALL(%(names)s)")
        asked["names"] = pattern
    return where, asked


def of_patients(keys: Dataset, *, fuzzy: bool) -> Asked:
    """The same for patients, as `p`."""
    where: list[str] = []
    asked: dict[str, Any] = {}
    if (patient := single(keys, "PatientID")) is not None:
        where.append("p.patient_id = %(patient)s AND (%(issuer)s::text IS NULL OR p.issuer = %(issuer)s)")
        asked["patient"], asked["issuer"] = patient, single(keys, ISSUER)
    if pattern := names(keys, fuzzy=fuzzy):
        where.append(f"{_PLAIN.format('p.name')} LIKE ALL(%(names)s)")
        asked["names"] = pattern
    return where, asked


def names(keys: Dataset, *, fuzzy: bool) -> list[str]:
    """Patterns of LIKE for what every name that matches has in it, in its order unless `fuzzy`."""
    said = values(keys, "PatientName")
    if len(said) != 1 or "=" in said[0]:
        return []
    words = [_like(word) for word in words_of(said[0])]
    if fuzzy:
        return [f"%{word}%" for word in words]
    return ["%" + "%".join(words) + "%"] if words else []


def _like(word: str) -> str:
    """Everything but ASCII letters and digits stands for anything."""
    return re.sub(r"[^0-9a-z]+", "%", word)


def _dates(keys: Dataset, where: list[str], asked: dict[str, Any]) -> None:
    said = values(keys, "StudyDate")
    if len(said) != 1 or said[0] == "*":
        return
    first, last = day_range(said[0])
    where.append("coalesce(s.study_date, '-infinity') BETWEEN %(first)s AND %(last)s")
    asked["first"], asked["last"] = _day(first, _FIRST), _day(last, _LAST)


def _day(text: str, open_end: date) -> date:
    if text in ("00000000", "99999999"):
        return open_end
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadKey("a key is no day of the calendar") from None
