"""SOP Instance UIDs that two studies have: an image is shown in one of them, and both were sent to who asked for them.

A technologist corrects a study and the scanner sends it anew under another Study Instance UID with the old UIDs of its
images; or a sender makes UIDs badly. A study is judged by itself, so nothing holds these (docs/decisions/0093): the
catalog alone has an index by UID, and it says so.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor
from consumers.catalog.quarantine import Flowing
from consumers.catalog.text import clean
from streams.events import Event, InstanceReceived

# Of each image both studies' rows are found by the primary key.
_ELSEWHERE = """
SELECT other.study_uid, count(DISTINCT i.sop_instance_uid) AS instances,
    count(DISTINCT i.sop_instance_uid) FILTER (WHERE shown.digest IS NOT NULL) AS shown_there,
    min(i.sop_instance_uid) AS first
FROM valid_instances i
JOIN valid_instances other ON other.tenant = i.tenant AND other.sop_instance_uid = i.sop_instance_uid
    AND other.study_uid <> i.study_uid
LEFT JOIN served_instances shown ON shown.tenant = other.tenant AND shown.sop_instance_uid = other.sop_instance_uid
    AND shown.digest = other.digest
WHERE i.tenant = %(tenant)s AND i.study_uid = %(study_uid)s AND i.sop_instance_uid <> ''
GROUP BY other.study_uid ORDER BY other.study_uid
"""

_FLOWING = """
SELECT i.digest, i.study_uid, i.received_at FROM valid_instances i
WHERE i.tenant = %(tenant)s AND i.study_uid = %(study_uid)s AND i.sop_instance_uid <> '' AND EXISTS (
    SELECT FROM valid_instances other WHERE other.tenant = i.tenant AND other.sop_instance_uid = i.sop_instance_uid
        AND other.study_uid <> i.study_uid
) ORDER BY i.digest
"""

_SHARED = """
SELECT count(*) FROM unnest(%(instances)s::text[], %(studies)s::text[]) AS came (sop_instance_uid, study_uid)
WHERE sop_instance_uid <> '' AND EXISTS (
    SELECT FROM instances i WHERE i.tenant = %(tenant)s AND i.sop_instance_uid = came.sop_instance_uid
        AND i.study_uid <> came.study_uid
)
"""


class Elsewhere(msgspec.Struct, frozen=True):
    """Another study with `instances` SOP Instance UIDs of this one, `first` among them; of those it shows
    `shown_there`, and this one does not show them. What is held or was rejected, in either, is not counted."""

    study_uid: str
    instances: int
    shown_there: int
    first: str


def elsewhere(cursor: Cursor, tenant: str, study_uid: str) -> list[Elsewhere]:
    with cursor.connection.cursor(row_factory=class_row(Elsewhere)) as rows:
        return rows.execute(_ELSEWHERE, {"tenant": tenant, "study_uid": study_uid}).fetchall()


def flowing(cursor: Cursor, tenant: str, study_uid: str) -> list[Flowing]:
    """The images of a study whose SOP Instance UID an image of another study has: neither is held or rejected."""
    with cursor.connection.cursor(row_factory=class_row(Flowing)) as rows:
        return rows.execute(_FLOWING, {"tenant": tenant, "study_uid": study_uid}).fetchall()


def shared(cursor: Cursor, events: Iterable[Event]) -> int:
    """How many of the images that came have a UID that an image of another study has, rejected or not; once their rows
    are written."""
    came: dict[str, set[tuple[str, str]]] = {}
    for event in events:
        if isinstance(event, InstanceReceived):
            came.setdefault(event.meta.tenant, set()).add((event.instance.sop_instance_uid, event.instance.study_uid))
    found = 0
    for tenant, images in came.items():
        instances, studies = zip(*sorted(images), strict=True)
        asked = clean({"tenant": tenant, "instances": list(instances), "studies": list(studies)})
        found += (cursor.execute(_SHARED, asked).fetchone() or (0,))[0]
    return found
