"""What people ask of tiers: studies by the store that serves them, and where the copies of one study are.

Reading only.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor

LIMIT_MAX = 1000

_PAGE = """
SELECT t.study_uid, t.serving, t.phase, t.why, t.source, t.target, t.objects, t.size AS bytes, t.decided_for,
    (SELECT count(*) FROM holds h WHERE h.tenant = t.tenant AND h.study_uid = t.study_uid AND h.in_force) AS holds,
    (SELECT max(a.last_at) FROM accesses a WHERE a.tenant = t.tenant AND a.study_uid = t.study_uid) AS last_read_at
FROM study_tiers t
WHERE t.tenant = %(tenant)s
    AND (%(serving)s::text IS NULL OR t.serving = %(serving)s)
    AND (%(after)s::text IS NULL OR t.study_uid > %(after)s::text COLLATE "C")
ORDER BY t.study_uid
LIMIT %(limit)s
"""

_SUMS = """
SELECT serving, count(*) AS studies, sum(objects)::bigint AS objects, sum(size)::bigint AS bytes
FROM study_tiers WHERE tenant = %(tenant)s GROUP BY 1 ORDER BY 1
"""

_ONE = """
SELECT serving, move, phase, why, source, target, decided_for FROM study_tiers
WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s
"""

_KEPT = """
SELECT store, count(*) AS copies, count(*) FILTER (WHERE verified) AS verified, sum(size)::bigint AS bytes
FROM current_copies WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s GROUP BY 1 ORDER BY 1
"""

_READS = """
SELECT coalesce(sum(reads), 0)::bigint AS reads, max(last_at) AS last_at
FROM accesses WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s
"""


class TierLine(msgspec.Struct, frozen=True):
    """`phase`, `why`, `source` and `target` are of the last move; `holds` counts those in force."""

    study_uid: str
    serving: str
    phase: str
    why: str
    source: str | None
    target: str
    objects: int
    bytes: int
    decided_for: datetime
    holds: int
    last_read_at: datetime | None


class StoreSum(msgspec.Struct, frozen=True):
    """Studies that a store serves, with their originals, each counted once."""

    serving: str
    studies: int
    objects: int
    bytes: int


class TierPage(msgspec.Struct, frozen=True):
    """`next` is the study to go on after, or None at the end. `sums` is of all studies that were moved or backed up."""

    studies: list[TierLine]
    sums: list[StoreSum]
    next: str | None


class StudyTier(msgspec.Struct, frozen=True):
    """How the last phase of the last move left a study."""

    serving: str
    move: int
    phase: str
    why: str
    source: str | None
    target: str
    decided_for: datetime


class Kept(msgspec.Struct, frozen=True):
    """Copies of a study's originals in one store; `verified` ones were read back there."""

    store: str
    copies: int
    verified: int
    bytes: int


class Reads(msgspec.Struct, frozen=True):
    """Objects read for people."""

    reads: int
    last_at: datetime | None


def page(cursor: Cursor, tenant: str, *, limit: int, serving: str | None = None, after: str | None = None) -> TierPage:
    """Studies in the order of their UIDs; keyset pagination by the UID."""
    asked = {"tenant": tenant, "serving": serving, "after": after, "limit": limit + 1}
    with cursor.connection.cursor(row_factory=class_row(TierLine)) as rows:
        lines = rows.execute(_PAGE.encode(), asked).fetchall()
    with cursor.connection.cursor(row_factory=class_row(StoreSum)) as rows:
        sums = rows.execute(_SUMS.encode(), asked).fetchall()
    more = len(lines) > limit
    return TierPage(lines[:limit], sums, lines[limit - 1].study_uid if more else None)


def tier(cursor: Cursor, tenant: str, study_uid: str) -> StudyTier | None:
    """None where tiering has not looked at the study yet: it is where it was received."""
    with cursor.connection.cursor(row_factory=class_row(StudyTier)) as rows:
        return rows.execute(_ONE.encode(), {"tenant": tenant, "study_uid": study_uid}).fetchone()


def kept(cursor: Cursor, tenant: str, study_uid: str) -> list[Kept]:
    """By store, where the copies of a study's originals are now."""
    with cursor.connection.cursor(row_factory=class_row(Kept)) as rows:
        return rows.execute(_KEPT.encode(), {"tenant": tenant, "study_uid": study_uid}).fetchall()


def reads(cursor: Cursor, tenant: str, study_uid: str) -> Reads:
    """How often a study was read, and when last."""
    with cursor.connection.cursor(row_factory=class_row(Reads)) as rows:
        found = rows.execute(_READS.encode(), {"tenant": tenant, "study_uid": study_uid}).fetchone()
    assert found is not None  # noqa: S101 - a sum without groups has one row
    return found
