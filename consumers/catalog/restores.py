"""What of a study has to be restored, how a restore of it stands, and how long restores took. Reading only."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor
from streams.config import RESTORE_S_MAX
from streams.events import Phase

# So many of the last restores are measured.
_MEASURED: Final = 20

_ARCHIVED = """
SELECT count(*) FROM (
    SELECT FROM served_instances v
    JOIN current_copies k ON k.tenant = v.tenant AND k.study_uid = v.study_uid AND k.digest = v.digest
    WHERE v.tenant = %(tenant)s AND v.study_uid = %(study_uid)s
        AND (%(instance)s::text IS NULL OR v.sop_instance_uid = %(instance)s)
    GROUP BY v.digest HAVING bool_and(k.store = ANY(%(stores)s))
) AS archived
"""

_NEWEST = """
SELECT m.phase, m.decided_at, min(p.decided_at) AS planned_at
FROM tier_moves m JOIN tier_moves p ON p.tenant = m.tenant AND p.study_uid = m.study_uid AND p.move = m.move
WHERE m.tenant = %(tenant)s AND m.study_uid = %(study_uid)s AND m.why = 'recall'
GROUP BY m.seq, m.phase, m.decided_at ORDER BY m.seq DESC LIMIT 1
"""

_TAKEN = """
SELECT extract(epoch FROM m.decided_at - (
    SELECT min(p.decided_at) FROM tier_moves p
    WHERE p.tenant = m.tenant AND p.study_uid = m.study_uid AND p.move = m.move
))::float8
FROM tier_moves m WHERE m.tenant = %(tenant)s AND m.why = 'recall' AND m.phase = 'switched'
ORDER BY m.decided_at DESC LIMIT %(count)s
"""


class Restore(msgspec.Struct, frozen=True):
    """The newest restore of a study. `decided_at` is of its last phase, by tiering's clock."""

    phase: Phase
    decided_at: datetime
    planned_at: datetime

    @property
    def is_under_way(self) -> bool:
        return self.phase in ("planned", "copied", "verified")

    @property
    def has_failed(self) -> bool:
        return self.phase == "abandoned"


def archived(
    cursor: Cursor, tenant: str, study_uid: str, stores: Collection[str], sop_instance_uid: str | None = None
) -> int:
    """How many instances that may be shown, of the study or that one, are in archived stores and in no other."""
    if not stores:
        return 0
    asked = {"tenant": tenant, "study_uid": study_uid, "stores": list(stores), "instance": sop_instance_uid}
    found = cursor.execute(_ARCHIVED.encode(), asked).fetchone()
    return int(found[0]) if found is not None else 0


def newest(cursor: Cursor, tenant: str, study_uid: str) -> Restore | None:
    with cursor.connection.cursor(row_factory=class_row(Restore)) as rows:
        return rows.execute(_NEWEST.encode(), {"tenant": tenant, "study_uid": study_uid}).fetchone()


def expected_s(cursor: Cursor, tenant: str, thought_s: float) -> float:
    """Seconds in which nine in ten of the last restores were there; `thought_s` before there was one."""
    rows = cursor.execute(_TAKEN.encode(), {"tenant": tenant, "count": _MEASURED}).fetchall()
    return estimate([row[0] for row in rows], thought_s)


def estimate(taken_s: Collection[float], thought_s: float) -> float:
    """At least a second, at most what no archive takes."""
    found = sorted(taken_s)
    longest = found[-(-9 * len(found) // 10) - 1] if found else thought_s
    return min(max(1.0, longest), RESTORE_S_MAX)
