"""What people ask of holds: who placed them, why, and whether they are in force. Reading only."""

from __future__ import annotations

from datetime import datetime

import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor

_HOLDS = """
SELECT hold_id, study_uid, in_force, placed_by, placed_at, why, why_state::text AS why_state, released_by, released_at,
    release_why, release_why_state::text AS release_why_state
FROM holds
WHERE tenant = %(tenant)s
    AND (%(study_uid)s::text IS NULL OR study_uid = %(study_uid)s)
    AND (%(hold_id)s::text IS NULL OR hold_id = %(hold_id)s)
    AND (in_force OR NOT %(in_force)s)
ORDER BY placed_at, study_uid, hold_id
"""


class Hold(msgspec.Struct, frozen=True):
    """`why` is None where its `why_state` is not 'open': the reason was erased, or cannot be read."""

    hold_id: str
    study_uid: str
    in_force: bool
    placed_by: str
    placed_at: datetime
    why: str | None
    why_state: str
    released_by: str | None
    released_at: datetime | None
    release_why: str | None
    release_why_state: str | None


def holds(
    cursor: Cursor, tenant: str, *, study_uid: str | None = None, hold_id: str | None = None, in_force: bool = False
) -> list[Hold]:
    """The first placed first; with `in_force` only those that are not released."""
    asked = {"tenant": tenant, "study_uid": study_uid, "hold_id": hold_id, "in_force": in_force}
    with cursor.connection.cursor(row_factory=class_row(Hold)) as rows:
        return rows.execute(_HOLDS.encode(), asked).fetchall()
