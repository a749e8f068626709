"""What lists show of studies and series: made out of the other tables, for some studies at a time.

The rules are here once, for who keeps the summaries (`summarizing`) and for who reads a study that has changed since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from typing import Any, Final

import msgspec

from consumers.catalog.names import folded, folded_name, sounds, terms
from consumers.catalog.table import Row

# Three questions of %(tenant)s and %(studies)s, to be asked in one snapshot; their rows are what `made` takes.
STUDIES = """
SELECT s.study_uid, s.study_date, s.block_state = 'open' AS open, b.attributes,
    c.event_id IS NOT NULL AS reconciled, c.block_state = 'open' AS known_here, c.patient_id, c.patient_issuer,
    c.patient_name, c.birth_date, c.sex, c.accession_number, t.serving
FROM studies s
LEFT JOIN blocks b
    ON b.tenant = s.tenant AND b.study_uid = s.study_uid AND b.series_uid = '' AND b.block_id = s.block_id
LEFT JOIN current_imports c ON c.tenant = s.tenant AND c.study_uid = s.study_uid
LEFT JOIN study_tiers t ON t.tenant = s.tenant AND t.study_uid = s.study_uid
WHERE s.tenant = %(tenant)s AND s.study_uid = ANY(%(studies)s)
"""
SERIES = """
SELECT e.study_uid, e.series_uid, e.modality, coalesce(e.body_part, made.body_part) AS body_part, e.series_number,
    b.attributes, made.description, c.event_id IS NOT NULL AS reconciled
FROM series e
LEFT JOIN blocks b
    ON b.tenant = e.tenant AND b.study_uid = e.study_uid AND b.series_uid = e.series_uid AND b.block_id = e.block_id
LEFT JOIN current_imports c ON c.tenant = e.tenant AND c.study_uid = e.study_uid
LEFT JOIN LATERAL (
    SELECT * FROM result_series r
    WHERE r.tenant = e.tenant AND r.study_uid = e.study_uid AND r.series_uid = e.series_uid
    ORDER BY r.event_id LIMIT 1
) AS made ON e.block_id IS NULL
WHERE e.tenant = %(tenant)s AND e.study_uid = ANY(%(studies)s)
"""
SERVED = """
SELECT i.study_uid, i.series_uid, i.sop_class_uid, min(i.modality) AS modality, count(*) AS instances
FROM unnest(%(studies)s::text[]) AS asked(study_uid)
CROSS JOIN LATERAL (
    SELECT i.study_uid, i.series_uid, i.sop_class_uid, i.modality FROM served_instances i
    WHERE i.tenant = %(tenant)s AND i.study_uid = asked.study_uid COLLATE "C"
) AS i
GROUP BY 1, 2, 3
"""

# What a decision on a study from outside says instead of the study (`current_imports`).
_HERE: Final = {
    "PatientID": "patient_id",
    "IssuerOfPatientID": "patient_issuer",
    "PatientName": "patient_name",
    "PatientBirthDate": "birth_date",
    "PatientSex": "sex",
    "AccessionNumber": "accession_number",
}
# Numbers and names that somebody else gave to the patient, or to a request, are not those of the patient here.
_OF_ELSEWHERE: Final = ("OtherPatientIDs", "OtherPatientNames")
_SERIES_OF_ELSEWHERE: Final = ("RequestAttributesSequence",)
# The person names (VR PN) of the blocks; an institution's is text.
_NAMES: Final = frozenset({"PatientName", "OtherPatientNames", "ReferringPhysicianName", "PerformingPhysicianName"})
_WAITED_FOR: Final = frozenset({"cold", "backup"})
# PS3.5 section 6.2, TM; with colons it is that of ACR-NEMA.
_TIME: Final = re.compile(r"([0-2][0-9])(?::?([0-5][0-9])(?::?([0-6][0-9])(?:\.([0-9]{1,6}))?)?)? *\Z")


class Summaries(msgspec.Struct, frozen=True):
    """Rows of `study_summaries` and `series_summaries`; nothing of studies that have no instance to show."""

    studies: list[Row]
    series: list[Row]


def made(tenant: str, studies: Iterable[Row], series: Iterable[Row], served: Iterable[Row]) -> Summaries:
    """Out of the rows of the three questions."""
    counted: dict[tuple[str, str], list[Row]] = {}
    for row in served:
        counted.setdefault((row["study_uid"], row["series_uid"]), []).append(row)
    known = {(row["study_uid"], row["series_uid"]): row for row in series}
    of_series = [_series(tenant, key, rows, known.get(key)) for key, rows in sorted(counted.items())]
    by_study: dict[str, list[Row]] = {}
    for row in of_series:
        by_study.setdefault(row["study_uid"], []).append(row)
    return Summaries(
        [_study(tenant, row, by_study[row["study_uid"]]) for row in studies if row["study_uid"] in by_study], of_series
    )


def _series(tenant: str, key: tuple[str, str], served: Sequence[Row], known: Row | None) -> Row:
    modality = (known["modality"] if known else None) or served[0]["modality"]
    said = {name: _text(value) for name, value in ((known["attributes"] or {}) if known else {}).items()}
    if known and known["reconciled"]:
        for keyword in _SERIES_OF_ELSEWHERE:
            said.pop(keyword, None)
    if known and known["description"]:
        said["SeriesDescription"] = known["description"]
    if known and known["body_part"]:
        said["BodyPartExamined"] = known["body_part"]
    return {
        "tenant": tenant,
        "study_uid": key[0],
        "series_uid": key[1],
        "modality": modality,
        "series_number": known["series_number"] if known else None,
        "sop_classes": sorted(row["sop_class_uid"] for row in served),
        "instances": sum(row["instances"] for row in served),
        "attributes": said | matched_forms(said),
    }


def _study(tenant: str, row: Row, series: Sequence[Row]) -> Row:
    said = attributes_here(row)
    name, referring = folded_name(said.get("PatientName", "")), folded_name(said.get("ReferringPhysicianName", ""))
    description = said.get("StudyDescription", "")
    at = time_of(said.get("StudyTime", ""))
    return {
        "tenant": tenant,
        "study_uid": row["study_uid"],
        "study_at": moment(row["study_date"], at),
        "study_time": at,
        "patient_id": said.get("PatientID", ""),
        "patient_name": name,
        "referring_physician": referring,
        "accession_number": said.get("AccessionNumber", ""),
        "description": description,
        "modalities": sorted({one["modality"] for one in series if one["modality"]}),
        "sop_classes": sorted({uid for one in series for uid in one["sop_classes"]}),
        "series": len(series),
        "instances": sum(one["instances"] for one in series),
        "availability": "NEARLINE" if row["serving"] in _WAITED_FOR else "ONLINE",
        "terms": sorted(
            terms("n", name)
            | terms("r", referring)
            | terms("d", folded(description))
            | sounds("n", [name])
            | sounds("r", [referring])
        ),
        "attributes": said | matched_forms(said),
    }


def attributes_here(row: Row) -> dict[str, str]:
    """Text by keyword: as the study says it, and whose it is here where a person has found that out."""
    said = {name: _text(value) for name, value in ((row["attributes"] or {}) if row["open"] else {}).items()}
    if not row["reconciled"]:
        return said
    for keyword in (*_HERE, *_OF_ELSEWHERE):
        said.pop(keyword, None)
    if row["known_here"]:
        said.update({keyword: row[column] for keyword, column in _HERE.items() if row[column]})
    return said


def matched_forms(said: Mapping[str, str]) -> dict[str, str]:
    """Under `~keyword`, what names, dates and times are matched as; nothing of a date or a time that is none."""
    forms: dict[str, str | None] = {}
    for keyword, value in said.items():
        if keyword in _NAMES:
            forms[keyword] = "\\".join(folded_name(one) for one in value.split("\\"))
        elif keyword.endswith("Date"):
            forms[keyword] = date_of(value)
        elif keyword.endswith("Time"):
            forms[keyword] = time_of(value)
    return {f"~{keyword}": form for keyword, form in forms.items() if form}


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "\\".join(value)


def date_of(text: str) -> str | None:
    """A DA as YYYYMMDD, or None where it is not one; with dots it is that of ACR-NEMA."""
    digits = text.strip().replace(".", "")
    return digits if len(digits) == 8 and digits.isascii() and digits.isdecimal() else None


def time_of(text: str) -> str | None:
    """A TM as HHMMSS.FFFFFF, or None where it is not one."""
    found = _TIME.match(text.strip())
    if found is None or found[1] > "23":
        return None
    # A leap second is the one before: PostgreSQL would make the next minute of it.
    seconds = min(found[3] or "00", "59")
    return f"{found[1]}{found[2] or '00'}{seconds}.{(found[4] or ''):0<6}"


def moment(day: date | None, at: str | None) -> str:
    """A date and a time of `time_of` as PostgreSQL reads it; a study without a date is older than all others."""
    if day is None:
        return "-infinity"
    return datetime.combine(day, time.min if at is None else _clock(at)).isoformat()


def _clock(at: str) -> time:
    return time(int(at[:2]), int(at[2:4]), int(at[4:6]), int(at[7:]))


def parameters(tenant: str, studies: Sequence[str]) -> Mapping[str, Any]:
    """Of the three questions."""
    return {"tenant": tenant, "studies": list(studies)}
