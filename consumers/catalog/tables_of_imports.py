"""The table of decisions on studies from outside."""

from __future__ import annotations

from consumers.catalog.table import Table, columns

# Facts alone: which decision holds, views say.
IMPORT_DECISIONS = Table(
    "import_decisions",
    ("event_id",),
    columns(
        "event_id tenant study_uid record_offset action actor order_id why_block_id why_state why block_id block_state "
        "patient_key patient_id patient_issuer patient_name birth_date sex accession_number accession_issuer "
        "procedure_id decided_at"
    ),
)
