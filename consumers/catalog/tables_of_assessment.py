"""The tables of what is said of studies as wholes."""

from __future__ import annotations

from consumers.catalog.table import Table, columns

STUDY_ASSESSMENTS = Table(
    "study_assessments",
    ("event_id",),
    columns(
        "event_id tenant study_uid revision generation set_digest instance_count read_count held_count assessed_at "
        "provenance"
    ),
)
STUDY_FINDINGS = Table(
    "study_findings",
    ("event_id", "ordinal"),
    columns("event_id ordinal tenant study_uid series_uid rule severity tag section text instance_count instances"),
    "DO NOTHING",
    # What was said is not filled up by a second record of it.
    "NOT EXISTS (SELECT FROM study_assessments said WHERE said.event_id = coming.event_id)",
)
