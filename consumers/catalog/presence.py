"""Which instances are here, of a study or by name: what another archive's list is compared with. Reading only."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor

# Of several contents under one UID the first received counts: it is the one that its lane was for.
_PRESENT = """
SELECT DISTINCT ON (i.sop_instance_uid) i.sop_instance_uid, i.study_uid, i.series_uid, i.lane::text AS lane,
    CASE
        WHEN EXISTS (SELECT FROM quarantined_instances q WHERE q.tenant = i.tenant AND q.digest = i.digest)
        THEN 'quarantined'
        WHEN EXISTS (SELECT FROM valid_instances v WHERE v.tenant = i.tenant AND v.digest = i.digest)
        THEN 'validated'
    END AS verdict
FROM instances i
WHERE i.tenant = %(tenant)s AND (i.study_uid = %(study_uid)s OR i.sop_instance_uid = ANY(%(uids)s))
ORDER BY i.sop_instance_uid, i.received_at, i.digest
"""


class Present(msgspec.Struct, frozen=True):
    """An instance that the catalog has. `verdict` is None until validation has looked at it.

    Of several, held wins, unless a person released it.
    """

    sop_instance_uid: str
    study_uid: str
    series_uid: str
    lane: str
    verdict: str | None


def present(cursor: Cursor, tenant: str, study_uid: str, sop_instance_uids: Collection[str]) -> dict[str, Present]:
    """By SOP Instance UID: all of the study, and those named, wherever they are."""
    asked = {"tenant": tenant, "study_uid": study_uid, "uids": sorted(sop_instance_uids)}
    with cursor.connection.cursor(row_factory=class_row(Present)) as rows:
        return {row.sop_instance_uid: row for row in rows.execute(_PRESENT.encode(), asked)}
