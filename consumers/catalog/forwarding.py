"""What people ask of forwarding: where the images of a study went, and where they did not. Reading only."""

from __future__ import annotations

from datetime import datetime

import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor

_FORWARDED = """
SELECT action, target, outcome, count(DISTINCT digest) AS instances, min(detail) AS detail, max(said_at) AS last_at
FROM current_forwards WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


_HELD_SENT = """
SELECT target, sop_instance_uid, digest, code, decision, sent_at FROM held_forwards
WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s ORDER BY target, sop_instance_uid, digest LIMIT %(limit)s
"""
HELD_SENT_MAX = 1000


class HeldSent(msgspec.Struct, frozen=True):
    """An image that a node was sent and that is held by now, or was rejected: a person tells that node."""

    target: str
    sop_instance_uid: str
    digest: str
    code: str
    decision: str | None
    sent_at: datetime


class Forwarded(msgspec.Struct, frozen=True):
    """How many instances of a study have one outcome at one target; `detail` is of one of those that failed."""

    action: str
    target: str
    outcome: str
    instances: int
    detail: str
    last_at: datetime


def forwarded(cursor: Cursor, tenant: str, study_uid: str) -> list[Forwarded]:
    with cursor.connection.cursor(row_factory=class_row(Forwarded)) as rows:
        return rows.execute(_FORWARDED.encode(), {"tenant": tenant, "study_uid": study_uid}).fetchall()


def held_sent(cursor: Cursor, tenant: str, study_uid: str) -> list[HeldSent]:
    asked = {"tenant": tenant, "study_uid": study_uid, "limit": HELD_SENT_MAX}
    with cursor.connection.cursor(row_factory=class_row(HeldSent)) as rows:
        return rows.execute(_HELD_SENT.encode(), asked).fetchall()
