"""Which originals a study is served with: valid ones, and one content for each SOP Instance UID. Reading only."""

from __future__ import annotations

import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor

_SERVED = """
SELECT series_uid, sop_instance_uid, digest, size FROM served_instances
WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s
ORDER BY series_uid, instance_number NULLS LAST, sop_instance_uid
"""


_INSTANCE = """
SELECT study_uid, series_uid, sop_instance_uid, digest, size FROM served_instances
WHERE tenant = %(tenant)s AND sop_instance_uid = %(sop_instance_uid)s
ORDER BY study_uid LIMIT 1
"""


class Original(msgspec.Struct, frozen=True):
    """One received file: `size` in bytes, `digest` its SHA-256 (hex)."""

    series_uid: str
    sop_instance_uid: str
    digest: str
    size: int


def served(cursor: Cursor, tenant: str, study_uid: str) -> list[Original]:
    """By series and instance number."""
    with cursor.connection.cursor(row_factory=class_row(Original)) as rows:
        return rows.execute(_SERVED.encode(), {"tenant": tenant, "study_uid": study_uid}).fetchall()


class Served(Original, frozen=True):
    """One received file, and the study that it is of."""

    study_uid: str


def served_instance(cursor: Cursor, tenant: str, sop_instance_uid: str) -> Served | None:
    """The content that an instance is served with; None where the catalog has none that is valid."""
    with cursor.connection.cursor(row_factory=class_row(Served)) as rows:
        wanted = {"tenant": tenant, "sop_instance_uid": sop_instance_uid}
        return rows.execute(_INSTANCE.encode(), wanted).fetchone()
