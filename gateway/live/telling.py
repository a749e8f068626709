"""Which records of the log are told, and what is said of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from schemas import load_topics
from streams.events import SUBJECTS, Event, InferenceResult, ReviewEvent, StudyRevision, TierMoved
from streams.wire import Record, Undecodable, UnknownSchema, decode

KINDS: dict[type[Event], str] = {
    StudyRevision: "revision",
    InferenceResult: "result",
    ReviewEvent: "review",
    TierMoved: "tier",
}


@dataclass(frozen=True)
class Told:
    """`kind` names the event; `said` is its data, as JSON has it."""

    kind: str
    study_uid: str
    said: dict[str, Any]


def topics() -> tuple[str, ...]:
    """The physical topics that are read, in a fixed order."""
    known = load_topics()
    return tuple(sorted(name for kind in KINDS for name in known.physical(SUBJECTS[kind])))


def told(record: Record, tenant: str) -> Told | None:
    """None for what is another tenant's, or cannot be read here: whoever consumes it says so, and nobody waits."""
    try:
        event = decode(record)
    except (Undecodable, UnknownSchema):
        return None
    if type(event) not in KINDS or event.meta.tenant != tenant:
        return None
    said = {"study": getattr(event, "study_uid"), "at": event.meta.occurred_at, **_facts(event)}  # noqa: B009
    return Told(KINDS[type(event)], said["study"], said)


def _facts(event: Event) -> dict[str, Any]:
    match event:
        case StudyRevision():
            return {"revision": event.revision, "instances": event.instance_count}
        case InferenceResult():
            return {"result": event.meta.event_id, "model": event.model.name, "outcome": event.outcome}
        case ReviewEvent():
            return {"result": event.result_event_id, "verdict": event.verdict}
        case TierMoved():
            return {"phase": event.phase, "why": event.why, "serving": event.serving, "target": event.target}
    return {}
