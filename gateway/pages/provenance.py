"""What the page shows beside the study itself: where results come from, their objects, what may be looked at, and which
results may have been made with images that are held by now."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor

_PROVENANCE = """
SELECT event_id::text AS event_id, model_digest, card_digest, input_digest, input_count, provenance
FROM inferences WHERE tenant = %(tenant)s AND event_id = ANY(%(results)s::uuid[])
"""
_OBJECTS = """
SELECT o.event_id::text AS event_id, o.kind, o.series_uid, o.sop_instance_uid
FROM inference_objects o
JOIN served_instances i ON i.tenant = o.tenant AND i.sop_instance_uid = o.sop_instance_uid AND i.digest = o.digest
WHERE o.tenant = %(tenant)s AND o.event_id = ANY(%(results)s::uuid[])
ORDER BY o.event_id, o.kind
"""

# Others have nothing to look at: reports, and what could not be drawn. Series of held images alone are not here.
_SHOWN = """
SELECT i.series_uid, count(*) AS instances, bool_or(EXISTS (
    SELECT FROM current_derivatives d
    WHERE d.tenant = i.tenant AND d.digest = i.digest AND d.kind = 'thumbnail'
)) AS is_pictured
FROM served_instances i
WHERE i.tenant = %(tenant)s AND i.study_uid = %(study_uid)s
GROUP BY 1
"""


# Of what flowed first and was held then. What a model said before that may have been said with it, until the study has
# its revision without it (docs/decisions/0060).
_HELD = """
SELECT q.series_uid, count(DISTINCT q.digest) AS images, max(q.decided_at) AS held_at
FROM quarantined_instances q
WHERE q.tenant = %(tenant)s AND q.study_uid = %(study_uid)s AND EXISTS (
    SELECT FROM verdicts v WHERE v.tenant = q.tenant AND v.digest = q.digest AND v.verdict = 'validated'
)
GROUP BY 1
"""


class Origin(msgspec.Struct, frozen=True):
    """`provenance` is that of the event: build, generation, digests, and the records that it was made of."""

    event_id: str
    model_digest: str
    card_digest: str
    input_digest: str
    input_count: int
    provenance: dict[str, Any]


class Made(msgspec.Struct, frozen=True):
    """A DICOM object of a result that is served: a structured report or a segmentation."""

    event_id: str
    kind: str
    series_uid: str
    sop_instance_uid: str


class Shown(msgspec.Struct, frozen=True):
    """What may be shown of a series: so many `instances`; `is_pictured` where one has a thumbnail."""

    series_uid: str
    instances: int
    is_pictured: bool


class Held(msgspec.Struct, frozen=True):
    """So many `images` of a series are held that flowed before; `held_at` is when the last of them was."""

    series_uid: str
    images: int
    held_at: datetime


def origins(cursor: Cursor, tenant: str, results: list[str]) -> dict[str, Origin]:
    """By result."""
    asked = {"tenant": tenant, "results": results}
    with cursor.connection.cursor(row_factory=class_row(Origin)) as rows:
        return {one.event_id: one for one in rows.execute(_PROVENANCE.encode(), asked).fetchall()}


def objects(cursor: Cursor, tenant: str, results: list[str]) -> dict[str, list[Made]]:
    """By result."""
    asked, found = {"tenant": tenant, "results": results}, dict[str, list[Made]]()
    with cursor.connection.cursor(row_factory=class_row(Made)) as rows:
        for one in rows.execute(_OBJECTS.encode(), asked).fetchall():
            found.setdefault(one.event_id, []).append(one)
    return found


def shown(cursor: Cursor, tenant: str, study_uid: str) -> dict[str, Shown]:
    """The series of a study that have an image to show, by UID."""
    asked = {"tenant": tenant, "study_uid": study_uid}
    with cursor.connection.cursor(row_factory=class_row(Shown)) as rows:
        # Planned for this study: a plan for all of them takes seconds where there are many images.
        return {one.series_uid: one for one in rows.execute(_SHOWN.encode(), asked).fetchall()}


def held(cursor: Cursor, tenant: str, study_uid: str) -> dict[str, Held]:
    """By series."""
    asked = {"tenant": tenant, "study_uid": study_uid}
    with cursor.connection.cursor(row_factory=class_row(Held)) as rows:
        return {one.series_uid: one for one in rows.execute(_HELD.encode(), asked).fetchall()}
