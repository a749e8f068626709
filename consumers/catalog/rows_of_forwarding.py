"""What came of the rules: forwarded, or not, or tagged."""

from __future__ import annotations

from typing import Any

from consumers.catalog.table import Row
from consumers.catalog.tables import Rows
from consumers.catalog.tables_of_forwarding import FORWARDS
from streams.events import ForwardResult


def add_forward(event: ForwardResult, rows: Rows) -> None:
    row = {
        "event_id": event.meta.event_id,
        "tenant": event.meta.tenant,
        "study_uid": event.instance.study_uid,
        "digest": event.instance.digest,
        "action": event.action,
        "target": event.target,
        "outcome": event.outcome,
        "rules": event.rules,
        "status": event.status,
        "code": event.code,
        "detail": event.detail,
        "sent_transfer_syntax_uid": event.sent_transfer_syntax_uid,
        "sent_bytes": event.sent_bytes,
        "said_at": event.meta.occurred_at,
        "provenance": event.provenance,
    }
    rows.prefer(FORWARDS, row, _said, min)


def _said(row: Row) -> tuple[Any, str]:
    return row["said_at"], row["outcome"]
