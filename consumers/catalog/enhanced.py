"""Which enhanced objects there are of a study's images: of what is served alone. Reading only."""

from __future__ import annotations

import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor

_ENHANCED = """
SELECT i.series_uid AS source_series_uid, i.sop_instance_uid AS source_sop_instance_uid,
    r.store, r.object_key AS key, r.version_id, r.first_byte, r.length, r.size, r.sha256
FROM current_derivatives r
JOIN served_instances i ON i.tenant = r.tenant AND i.digest = r.digest
WHERE r.tenant = %(tenant)s AND i.study_uid = %(study_uid)s AND r.kind = 'enhanced'
ORDER BY i.series_uid, i.instance_number NULLS LAST, i.sop_instance_uid, r.ordinal
"""


class Enhanced(msgspec.Struct, frozen=True):
    """A DICOM object in `length` bytes from `first_byte` of a stored one, and the image that it was made of."""

    source_series_uid: str
    source_sop_instance_uid: str
    store: str
    key: str
    version_id: str | None
    first_byte: int
    length: int
    size: int
    sha256: str


def enhanced(cursor: Cursor, tenant: str, study_uid: str) -> list[Enhanced]:
    """By the series and number of their images."""
    with cursor.connection.cursor(row_factory=class_row(Enhanced)) as rows:
        return rows.execute(_ENHANCED.encode(), {"tenant": tenant, "study_uid": study_uid}).fetchall()
