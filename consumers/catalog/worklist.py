"""The modality worklist as rows: scheduled steps that are still to be done, page by page. Reading only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import msgspec
from psycopg.rows import class_row

from consumers.catalog.database import Cursor

PAGE = 200

# What was cancelled or is completed is on no list; what was erased has nobody to call. A step that was discontinued
# stays: perhaps the wrong entry was taken, and the RIS says when it is gone.
_PAGE = """
SELECT s.order_id, s.place, s.modality, s.station_aes, s.start_date, s.start_time, s.study_uid, s.performed,
    o.priority, o.attributes AS order, s.attributes AS step
FROM current_steps s
JOIN order_commands o USING (event_id)
WHERE s.tenant = %(tenant)s AND s.standing AND s.performed IS DISTINCT FROM 'completed'
    AND o.block_state = 'open' AND s.block_state = 'open'
    AND (%(first)s::date IS NULL OR s.start_date >= %(first)s)
    AND (%(last)s::date IS NULL OR s.start_date <= %(last)s)
    AND (%(modality)s::text IS NULL OR s.modality = %(modality)s)
    AND (%(station_ae)s::text IS NULL OR s.station_aes @> to_jsonb(%(station_ae)s::text) OR s.station_aes = '[]')
    AND (%(patient_id)s::text IS NULL OR o.patient_id = %(patient_id)s)
    AND (%(accession)s::text IS NULL OR o.accession_number = %(accession)s)
    AND (%(after_order)s::text IS NULL
        OR (s.start_date, s.order_id, s.place)
            > (%(after_date)s::date, %(after_order)s::text COLLATE "C", %(after_place)s))
ORDER BY s.start_date, s.order_id, s.place
LIMIT %(limit)s
"""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What narrows the rows down; None asks for all. The days are the first and the last, both included.

    A step that names no station is one of any.
    """

    first: date | None = None
    last: date | None = None
    modality: str | None = None
    station_ae: str | None = None
    patient_id: str | None = None
    accession: str | None = None


class Scheduled(msgspec.Struct, frozen=True):
    """A scheduled step. `order` and `step` hold texts by DICOM keyword; `start_time` is HHMMSS."""

    order_id: str
    place: int
    modality: str | None
    station_aes: list[str]
    start_date: date
    start_time: str | None
    study_uid: str
    performed: str | None
    priority: str
    order: dict[str, Any]
    step: dict[str, Any]


def page(cursor: Cursor, tenant: str, asked: Asked, after: Scheduled | None = None) -> list[Scheduled]:
    """At most PAGE steps behind `after`, by day. Keyset pagination: a list that changes meanwhile is read on."""
    wanted = {
        "tenant": tenant,
        **msgspec.structs.asdict(asked),
        "after_date": after.start_date if after else None,
        "after_order": after.order_id if after else None,
        "after_place": after.place if after else None,
        "limit": PAGE,
    }
    with cursor.connection.cursor(row_factory=class_row(Scheduled)) as rows:
        return rows.execute(_PAGE.encode(), wanted).fetchall()


def scheduled(cursor: Cursor, tenant: str, asked: Asked) -> Iterator[Scheduled]:
    """All of them, a page at a time."""
    after: Scheduled | None = None
    while found := page(cursor, tenant, asked, after):
        yield from found
        if len(found) < PAGE:
            return
        after = found[-1]
