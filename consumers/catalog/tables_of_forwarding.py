"""The table of what came of rules."""

from __future__ import annotations

from consumers.catalog.table import Table, all_of, columns

# A node that was sent an instance twice answered twice: what was said first stands, as a whole.
_SAID = columns(
    "tenant study_uid digest action target outcome rules status code detail sent_transfer_syntax_uid sent_bytes "
    "said_at provenance"
)

FORWARDS = Table(
    "forwards",
    ("event_id",),
    ("event_id", *_SAID),
    f"DO UPDATE SET {all_of(_SAID)} WHERE (excluded.said_at, excluded.outcome) < (held.said_at, held.outcome)",
)
