"""What people ask of the catalog: studies in pages, and one study whole. Reading only."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import date, datetime
from typing import Any

import msgspec

from consumers.catalog.database import Cursor

LIMIT_MAX = 1000

_PAGE = """
SELECT s.study_uid, s.study_date, s.description,
    CASE WHEN c.event_id IS NULL THEN s.accession_number ELSE nullif(c.accession_number, '') END,
    CASE WHEN c.event_id IS NULL THEN s.block_state ELSE c.block_state END,
    CASE WHEN c.event_id IS NULL THEN b.attributes->>'PatientID' ELSE c.patient_id END,
    CASE WHEN c.event_id IS NULL THEN b.attributes->>'PatientName' ELSE c.patient_name END,
    s.outside, c.event_id IS NOT NULL,
    i.modalities, i.series, i.instances, q.quarantined, f.held_sent, r.revision, s.first_received_at, s.last_received_at
FROM studies s
LEFT JOIN blocks b
    ON b.tenant = s.tenant AND b.study_uid = s.study_uid AND b.series_uid = '' AND b.block_id = s.block_id
LEFT JOIN current_imports c ON c.tenant = s.tenant AND c.study_uid = s.study_uid
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(DISTINCT modality) FILTER (WHERE modality IS NOT NULL), '{}') AS modalities,
        count(DISTINCT nullif(series_uid, '')) AS series, count(*) AS instances
    FROM instances WHERE tenant = s.tenant AND study_uid = s.study_uid
) AS i
CROSS JOIN LATERAL (
    SELECT count(DISTINCT digest) AS quarantined FROM quarantined_instances
    WHERE tenant = s.tenant AND study_uid = s.study_uid
) AS q
CROSS JOIN LATERAL (
    SELECT count(DISTINCT digest) AS held_sent FROM held_forwards
    WHERE q.quarantined > 0 AND tenant = s.tenant AND study_uid = s.study_uid
) AS f
LEFT JOIN LATERAL (
    SELECT max(revision) AS revision FROM study_revisions WHERE tenant = s.tenant AND study_uid = s.study_uid
) AS r ON true
WHERE s.tenant = %(tenant)s
    AND (%(patient)s::text IS NULL
        OR s.study_uid IN (
            SELECT w.study_uid FROM study_patients w JOIN patients p USING (tenant, patient_key)
            WHERE w.tenant = %(tenant)s AND p.patient_id = %(patient)s
        ))
    AND (%(after_uid)s::text IS NULL
        OR (coalesce(s.study_date, '-infinity'), s.study_uid)
            < (coalesce(%(after_date)s::date, '-infinity'), %(after_uid)s::text COLLATE "C"))
ORDER BY coalesce(s.study_date, '-infinity'::date) DESC, s.study_uid DESC
LIMIT %(limit)s
"""


class BadToken(Exception):
    """The token is not one that a page of studies gave."""


class StudyLine(msgspec.Struct, frozen=True):
    """One line of a list. `block_state` says why there is no patient: 'erased', 'unreadable', or no block at all.

    Of a `reconciled` study, patient and accession number are those that a person gave it here; `outside` is the rule
    that said that it was made elsewhere. `held_sent` counts held images that other nodes have.
    """

    study_uid: str
    study_date: date | None
    description: str | None
    accession_number: str | None
    block_state: str | None
    patient_id: str | None
    patient_name: str | None
    outside: str | None
    reconciled: bool
    modalities: list[str]
    series: int
    instances: int
    quarantined: int
    held_sent: int
    revision: int | None
    first_received_at: datetime
    last_received_at: datetime


class Page(msgspec.Struct, frozen=True):
    """`next` is the token of the page after this one, or None at the end."""

    studies: list[StudyLine]
    next: str | None


def page(cursor: Cursor, tenant: str, *, limit: int, after: str | None = None, patient_id: str | None = None) -> Page:
    """Studies by date, the newest first, those without a date last; keyset pagination. Raises BadToken."""
    after_date, after_uid = _read_token(after) if after else (None, None)
    asked = {
        "tenant": tenant,
        "patient": patient_id,
        "after_date": after_date,
        "after_uid": after_uid,
        "limit": limit + 1,
    }
    lines = [StudyLine(*row) for row in cursor.execute(_PAGE, asked).fetchall()]
    more = len(lines) > limit
    lines = lines[:limit]
    return Page(lines, _token(lines[-1]) if more and lines else None)


def _token(line: StudyLine) -> str:
    told = json.dumps([line.study_date.isoformat() if line.study_date else None, line.study_uid])
    return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")


def _read_token(token: str) -> tuple[date | None, str]:
    try:
        padded = token.encode() + b"=" * (-len(token) % 4)
        told: Any = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        day, uid = told
        if not isinstance(uid, str) or "\0" in uid:
            raise BadToken
        return (date.fromisoformat(day) if day is not None else None), uid
    except (ValueError, TypeError, binascii.Error):
        raise BadToken from None
