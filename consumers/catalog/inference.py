"""What people ask of results: those that stand for a study, with each finding's latest review. Reading only."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime
from typing import Any

import msgspec
from psycopg.rows import dict_row

from consumers.catalog.database import Cursor

_STANDING = """
SELECT event_id::text AS event_id, study_uid, step, generation, outcome, code, detail, model_name, model_version,
    backend, series_uid, sop_instance_uid, revision, said_at
FROM standing_inferences WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s
ORDER BY series_uid NULLS LAST, sop_instance_uid, step
"""

_WITHDRAWN = """
SELECT event_id::text AS event_id, model_name, model_version, outcome, series_uid, sop_instance_uid, revision,
    withdrawn_by
FROM withdrawn_inferences WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s
ORDER BY series_uid NULLS LAST, sop_instance_uid, step
"""

_ONE = """
SELECT event_id::text AS event_id, study_uid, step, generation, outcome, code, detail, model_name, model_version,
    backend, series_uid, sop_instance_uid, revision, said_at
FROM inferences WHERE tenant = %(tenant)s AND event_id = %(event_id)s::uuid
"""

_FINDINGS = """
SELECT event_id::text AS event_id, finding_id, category, code->>'meaning' AS meaning, location->>'meaning' AS location,
    measurements, confidence, severity, verdict, reviewer, reviewed_at, note_state::text AS note_state, note
FROM reviewed_findings WHERE tenant = %(tenant)s AND event_id = ANY(%(results)s::uuid[])
ORDER BY event_id, place
"""

# Of results as a whole: those without a finding can be reviewed too.
_REVIEWS = """
SELECT DISTINCT ON (result_event_id) result_event_id::text AS event_id, verdict, reviewer, reviewed_at,
    note_state::text AS note_state, note
FROM reviews WHERE tenant = %(tenant)s AND finding_id IS NULL AND result_event_id = ANY(%(results)s::uuid[])
ORDER BY result_event_id, reviewed_at DESC, reviews.event_id DESC
"""

_HAS_REVIEW = "SELECT EXISTS (SELECT FROM reviews WHERE tenant = %(tenant)s AND event_id = %(event_id)s::uuid)"


_EVENT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Review(msgspec.Struct, frozen=True):
    """`note` is None where its `note_state` is not 'open', or nobody wrote one."""

    verdict: str
    reviewer: str
    reviewed_at: datetime
    note_state: str | None
    note: str | None


class FoundThing(msgspec.Struct, frozen=True):
    """`review` is the latest that is about the finding, alone or with the rest of its result."""

    finding_id: str
    category: str
    meaning: str
    location: str | None
    measurements: list[Any]
    confidence: float | None
    severity: str
    review: Review | None


class Withdrawn(msgspec.Struct, frozen=True):
    """A result that an image had a part in that is held or rejected by now. `withdrawn_by` is the revision without it;
    None of a result about that image alone."""

    event_id: str
    model_name: str
    model_version: str
    outcome: str
    series_uid: str | None
    sop_instance_uid: str | None
    revision: int | None
    withdrawn_by: int | None


class Result(msgspec.Struct, frozen=True):
    """`review` is the latest of the result as a whole."""

    event_id: str
    study_uid: str
    step: str
    generation: int
    outcome: str
    code: str
    detail: str
    model_name: str
    model_version: str
    backend: str
    series_uid: str | None
    sop_instance_uid: str | None
    revision: int | None
    said_at: datetime
    findings: list[FoundThing]
    review: Review | None


def standing(cursor: Cursor, tenant: str, study_uid: str) -> list[Result]:
    """What each model says of the images that the study has now."""
    return _whole(cursor, tenant, _rows(cursor, _STANDING, {"tenant": tenant, "study_uid": study_uid}))


def withdrawn(cursor: Cursor, tenant: str, study_uid: str) -> list[Withdrawn]:
    """What was said with images that are held or rejected by now, and does not stand."""
    return [Withdrawn(**row) for row in _rows(cursor, _WITHDRAWN, {"tenant": tenant, "study_uid": study_uid})]


def result(cursor: Cursor, tenant: str, event_id: str) -> Result | None:
    """One result, whether it stands or not; None where the catalog has none of that id."""
    if not _EVENT_ID.fullmatch(event_id):
        return None
    found = _whole(cursor, tenant, _rows(cursor, _ONE, {"tenant": tenant, "event_id": event_id}))
    return found[0] if found else None


def has_review(cursor: Cursor, tenant: str, event_id: str) -> bool:
    found = cursor.execute(_HAS_REVIEW.encode(), {"tenant": tenant, "event_id": event_id}).fetchone()
    return bool(found and found[0])


def _whole(cursor: Cursor, tenant: str, heads: list[dict[str, Any]]) -> list[Result]:
    asked = {"tenant": tenant, "results": [head["event_id"] for head in heads]}
    findings: dict[str, list[FoundThing]] = defaultdict(list)
    for row in _rows(cursor, _FINDINGS, asked):
        event_id, review = row.pop("event_id"), _review(row)
        findings[event_id].append(FoundThing(**row, review=review))
    reviews = {row.pop("event_id"): _review(row) for row in _rows(cursor, _REVIEWS, asked)}
    return [Result(**head, findings=findings[head["event_id"]], review=reviews.get(head["event_id"])) for head in heads]


def _review(row: dict[str, Any]) -> Review | None:
    """Takes the review's columns out of a row."""
    taken = {name: row.pop(name) for name in Review.__struct_fields__}
    return Review(**taken) if taken["verdict"] is not None else None


def _rows(cursor: Cursor, query: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    with cursor.connection.cursor(row_factory=dict_row) as rows:
        return rows.execute(query.encode(), asked).fetchall()
