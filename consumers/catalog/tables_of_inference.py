"""The tables of results and reviews."""

from __future__ import annotations

from consumers.catalog.table import Table, all_of, columns

# One request may fail in more than one way, in more than one lane, and on another backend by then: what was said first
# stands, as a whole. And what a replay made is a candidate no longer once it is published.
_RESULT = columns(
    "tenant study_uid series_uid sop_instance_uid subject step generation outcome status requires_review model_name "
    "model_version model_digest card_digest backend input_digest input_count candidate said_at code detail revision "
    "lane timings provenance"
)

INFERENCES = Table(
    "inferences",
    ("event_id",),
    ("event_id", *_RESULT),
    f"DO UPDATE SET {all_of(_RESULT)} "
    "WHERE (excluded.candidate, excluded.said_at, excluded.code) < (held.candidate, held.said_at, held.code)",
)
INFERENCE_FINDINGS = Table(
    "inference_findings",
    ("event_id", "place"),
    columns(
        "event_id place finding_id tenant study_uid category code location geometry measurements confidence severity"
    ),
)
INFERENCE_OBJECTS = Table(
    "inference_objects",
    ("event_id", "digest"),
    columns("event_id digest kind tenant study_uid series_uid sop_instance_uid sop_class_uid"),
)
REVIEWS = Table(
    "reviews",
    ("event_id",),
    columns(
        "event_id tenant study_uid result_event_id finding_id verdict reviewer note_block_id note_state note findings "
        "reviewed_at"
    ),
)
