"""What people ask of orders: which there are, how they stand, and which study was made for them. Reading only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec
from psycopg.rows import class_row, dict_row

from consumers.catalog.database import Cursor

ORDERS_MAX = 1000

_ORDERS = """
SELECT o.order_id, o.standing, o.priority, o.study_uid, o.block_state::text AS block_state, o.accession_number,
    o.accession_issuer, o.procedure_id, o.patient_id, o.patient_issuer, o.attributes, o.last_actor, o.last_at,
    f.start_date AS first_date
FROM orders o
CROSS JOIN LATERAL (
    SELECT min(s.start_date) AS start_date FROM scheduled_steps s WHERE s.event_id = o.event_id
) AS f
WHERE o.tenant = %(tenant)s
    AND (o.standing OR NOT %(standing)s)
    AND (%(order_id)s::text IS NULL OR o.order_id = %(order_id)s)
    AND (%(accession)s::text IS NULL OR o.accession_number = %(accession)s)
    AND (%(study_uid)s::text IS NULL OR o.order_id IN (
        SELECT l.order_id FROM order_studies l WHERE l.tenant = %(tenant)s AND l.study_uid = %(study_uid)s
    ))
ORDER BY first_date DESC NULLS LAST, o.order_id
LIMIT %(limit)s
"""

_STEPS = """
SELECT place, step_id, modality, station_aes, start_date, start_time, block_state::text AS block_state, attributes,
    mpps_uid, performed
FROM current_steps WHERE tenant = %(tenant)s AND order_id = %(order_id)s ORDER BY place
"""

_STUDIES = """
SELECT study_uid, by_uid, by_decision FROM order_studies
WHERE tenant = %(tenant)s AND order_id = %(order_id)s ORDER BY study_uid
"""

_COMMANDS = """
SELECT action, actor, commanded_at FROM order_commands
WHERE tenant = %(tenant)s AND order_id = %(order_id)s ORDER BY record_offset
"""

_PERFORMED = """
SELECT p.mpps_uid, p.status, p.calling_ae, p.modality, p.started_at, p.said_at, t.step_status AS ris_told,
    t.node AS ris, r.reason AS ris_refused
FROM performed_steps p
LEFT JOIN LATERAL (
    SELECT node, step_status FROM ris_told
    WHERE tenant = p.tenant AND mpps_uid = p.mpps_uid AND outcome = 'success' ORDER BY told_at DESC LIMIT 1
) AS t ON true
LEFT JOIN LATERAL (
    SELECT said || ': ' || reason AS reason FROM ris_told
    WHERE tenant = p.tenant AND mpps_uid = p.mpps_uid AND outcome <> 'success' ORDER BY told_at LIMIT 1
) AS r ON true
WHERE p.tenant = %(tenant)s AND (
    p.mpps_uid = ANY(%(mpps_uids)s) OR p.mpps_uid IN (
        SELECT m.mpps_uid FROM mpps_scheduled m WHERE m.tenant = %(tenant)s AND m.study_uid = %(study_uid)s
    )
)
ORDER BY p.started_at, p.mpps_uid
"""

_COMMANDED = "SELECT EXISTS (SELECT FROM order_commands WHERE event_id = %s)"

_STATUS = "SELECT status FROM performed_steps WHERE tenant = %(tenant)s AND mpps_uid = %(mpps_uid)s"


class Order(msgspec.Struct, frozen=True):
    """An order as it stands. `attributes` are texts by DICOM keyword, None where the block is not open."""

    order_id: str
    standing: bool
    priority: str
    study_uid: str
    block_state: str | None
    accession_number: str | None
    accession_issuer: str | None
    procedure_id: str | None
    patient_id: str | None
    patient_issuer: str | None
    attributes: dict[str, Any] | None
    last_actor: str
    last_at: datetime
    first_date: date | None


class Performed(msgspec.Struct, frozen=True):
    """A performed procedure step: `status` is in_progress, completed or discontinued.

    `ris_told` is the status that the node `ris` was told last, None where it was not told; `ris_refused` what it would
    not take, and what it said.
    """

    mpps_uid: str
    status: str
    calling_ae: str
    modality: str | None
    started_at: datetime
    said_at: datetime
    ris_told: str | None
    ris: str | None
    ris_refused: str | None


class WholeOrder(msgspec.Struct, frozen=True):
    """`studies` are those that were made for it; `by_uid`: by its Study Instance UID, `by_decision`: by a person's."""

    order: Order
    steps: list[dict[str, Any]]
    commands: list[dict[str, Any]]
    studies: list[dict[str, Any]]
    performed: list[Performed]


def orders(
    cursor: Cursor,
    tenant: str,
    *,
    order_id: str | None = None,
    accession: str | None = None,
    study_uid: str | None = None,
    standing: bool = False,
    limit: int = ORDERS_MAX,
) -> list[Order]:
    """Those that begin last first; with `standing` only those that are not cancelled."""
    asked = {
        "tenant": tenant,
        "order_id": order_id,
        "accession": accession,
        "study_uid": study_uid,
        "standing": standing,
        "limit": limit,
    }
    with cursor.connection.cursor(row_factory=class_row(Order)) as rows:
        return rows.execute(_ORDERS.encode(), asked).fetchall()


def whole(cursor: Cursor, tenant: str, found: Order) -> WholeOrder:
    asked = {"tenant": tenant, "order_id": found.order_id}
    steps = _rows(cursor, _STEPS, asked)
    # A modality that made a UID of its own performs it under that one.
    performed = [step["mpps_uid"] for step in steps if step["mpps_uid"]]
    return WholeOrder(
        order=found,
        steps=steps,
        commands=_rows(cursor, _COMMANDS, asked),
        studies=_rows(cursor, _STUDIES, asked),
        performed=performed_for(cursor, tenant, found.study_uid, performed),
    )


def has_command(cursor: Cursor, event_id: str) -> bool:
    """Whether the catalog has come to this command."""
    found = cursor.execute(_COMMANDED.encode(), (event_id,)).fetchone()
    return bool(found and found[0])


def performed_for(cursor: Cursor, tenant: str, study_uid: str, mpps_uids: Sequence[str] = ()) -> list[Performed]:
    """Performed procedure steps for a study, and those with these UIDs; the first started first."""
    asked = {"tenant": tenant, "study_uid": study_uid, "mpps_uids": list(mpps_uids)}
    with cursor.connection.cursor(row_factory=class_row(Performed)) as rows:
        return rows.execute(_PERFORMED.encode(), asked).fetchall()


def performed_status(cursor: Cursor, tenant: str, mpps_uid: str) -> str | None:
    """None where the catalog has no such performed procedure step."""
    found = cursor.execute(_STATUS.encode(), {"tenant": tenant, "mpps_uid": mpps_uid}).fetchone()
    return str(found[0]) if found else None


def _rows(cursor: Cursor, query: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    with cursor.connection.cursor(row_factory=dict_row) as rows:
        return rows.execute(query.encode(), asked).fetchall()
