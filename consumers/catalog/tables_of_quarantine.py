"""The table of what people decide on instances that are held."""

from __future__ import annotations

from consumers.catalog.table import Table, columns

# Facts alone: which decision holds, views say.
QUARANTINE_COMMANDS = Table(
    "quarantine_commands",
    ("event_id",),
    columns("event_id tenant study_uid digest record_offset action code actor why_block_id why_state why commanded_at"),
)
