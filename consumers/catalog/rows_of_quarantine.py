"""What people decide on instances that are held."""

from __future__ import annotations

from consumers.catalog.attributes import Reader
from consumers.catalog.tables import Rows
from consumers.catalog.tables_of_quarantine import QUARANTINE_COMMANDS
from streams.events import QuarantineCommand


def add_quarantine(event: QuarantineCommand, offset: int, reader: Reader, rows: Rows) -> None:
    """Of several records of one event the first counts. Raises as `Reader.read`."""
    why = reader.read(event.why)
    rows.add(
        QUARANTINE_COMMANDS,
        {
            "event_id": event.meta.event_id,
            "tenant": event.meta.tenant,
            "study_uid": event.instance.study_uid,
            "digest": event.instance.digest,
            "record_offset": offset,
            "action": event.action,
            "code": event.code,
            "actor": event.actor,
            "why_block_id": why.ref.block_id,
            "why_state": why.state,
            "why": why.text("Note") if why.state == "open" else None,
            "commanded_at": event.meta.occurred_at,
        },
    )
