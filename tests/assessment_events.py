"""What is said of studies as wholes, as tests make it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from streams.events import (
    InstanceQuarantined,
    InstanceReceived,
    NamedInstance,
    StudyAssessed,
    StudyFinding,
    StudyRevision,
)
from tests.event_streams import Hospital
from tests.instance_events import provenance_of


def assessed(
    hospital: Hospital, revision: StudyRevision, *rules: str, held: int = 0, generation: int = 1
) -> StudyAssessed:
    """An assessment with a finding of each of `rules`."""
    return StudyAssessed(
        meta=hospital.meta("assess", revision.meta.subject, generation, lane=revision.meta.lane),
        provenance=provenance_of("assess", generation),
        study_uid=revision.study_uid,
        revision=revision.revision,
        set_digest=revision.set_digest,
        instance_count=revision.instance_count,
        read_count=revision.instance_count,
        held_count=held,
        findings=tuple(_finding(rule) for rule in rules),
    )


def _finding(rule: str) -> StudyFinding:
    named = NamedInstance(sop_instance_uid="1.2.3", digest="a" * 64)
    return StudyFinding(
        rule=rule,
        severity="warning",
        text="It does not fit together.",
        tag="0020,0032",
        series_uid="1.2.4",
        instance_count=7,
        instances=(named,),
    )


def of_another_patient(hospital: Hospital, event: InstanceReceived) -> InstanceQuarantined:
    """The same event whichever revision it is said with."""
    meta = hospital.meta("assess", event.instance.digest, 1, ordinal=1, lane=event.meta.lane)
    held = hospital.quarantined(event, code="contradicts_patient")
    return structs.replace(held, meta=meta, provenance=provenance_of("assess", 1))


def strangers_among(hospital: Hospital, images: Sequence[InstanceReceived]) -> list[InstanceQuarantined]:
    """Each once, and the first once more with a later revision."""
    held = [of_another_patient(hospital, image) for image in images]
    return [*held, *held[:1]]
