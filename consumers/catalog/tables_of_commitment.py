"""The tables of storage commitment: what was asked, what was answered, and whether the answer arrived."""

from __future__ import annotations

from consumers.catalog.table import Table, columns

COMMITMENT_REQUESTS = Table(
    "commitment_requests",
    ("event_id",),
    columns("event_id tenant site transaction_uid calling_ae called_ae association instances refs requested_at"),
)
COMMITMENT_RESULTS = Table(
    "commitment_results",
    ("event_id",),
    columns("event_id tenant transaction_uid request_event_id copies committed failed failures decided_at provenance"),
)
COMMITMENT_REPORTS = Table(
    "commitment_reports",
    ("event_id",),
    columns("event_id tenant transaction_uid request_event_id outcome node status detail said_at"),
)
