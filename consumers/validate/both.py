"""Two steps in one process, which share its consumer group: instances alone, and studies as wholes."""

from __future__ import annotations

from collections.abc import Sequence

from consumers.validate.step import Validate
from consumers.validate.study.step import Assess
from streams.clock import Clock
from streams.events import Event, InstanceReceived, StudyRevision
from streams.step import DeadLetter, Input, Outcome


class Both:
    """Implements `streams.step.Step`. An event has what its own step says of it (docs/decisions/0051)."""

    name = Validate.name

    def __init__(self, validate: Validate, assess: Assess) -> None:
        self._validate = validate
        self._assess = assess

    def __call__(self, batch: Sequence[Input[Event]], clock: Clock) -> Sequence[Outcome]:
        return [self._one(item, clock) for item in batch]

    def _one(self, item: Input[Event], clock: Clock) -> Outcome:
        """Raises Absent, StoreAway."""
        match item.event:
            case InstanceReceived() as received:
                (outcome,) = self._validate([Input(received, item.record)], clock)
                return outcome
            case StudyRevision() as revision:
                return self._assess(Input(revision, item.record), clock)
        return DeadLetter("neither a received instance nor a study revision")
