"""What is said of a study as a whole: an assessment of one revision, and its findings."""

from __future__ import annotations

from msgspec import structs

from consumers.catalog.tables import Rows
from consumers.catalog.tables_of_assessment import STUDY_ASSESSMENTS, STUDY_FINDINGS
from streams.events import StudyAssessed


def add_assessment(event: StudyAssessed, rows: Rows) -> None:
    """Of several records of one event the first counts."""
    of_event = {"event_id": event.meta.event_id, "tenant": event.meta.tenant, "study_uid": event.study_uid}
    row = {
        **of_event,
        "revision": event.revision,
        "generation": event.provenance.generation,
        "set_digest": event.set_digest,
        "instance_count": event.instance_count,
        "read_count": event.read_count,
        "held_count": event.held_count,
        "assessed_at": event.meta.occurred_at,
        "provenance": event.provenance,
    }
    if not rows.add(STUDY_ASSESSMENTS, row):
        return
    for ordinal, finding in enumerate(event.findings):
        rows.add(STUDY_FINDINGS, {**of_event, "ordinal": ordinal, **structs.asdict(finding)})
