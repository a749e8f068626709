"""Two steps in one process, which share its consumer group: instances alone, and studies as wholes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consumers.validate.step import Validate
from consumers.validate.study.step import Assess
from streams.clock import Clock
from streams.events import Event, StudyRevision
from streams.step import Input, Outcome, Step


class Both:
    """Implements `streams.step.Step`. A study revision is for `assess`, all else for `validate` (decision 0051)."""

    name = Validate.name

    def __init__(self, validate: Step[Any], assess: Assess) -> None:
        self._validate = validate
        self._assess = assess

    def part(self, event: Event) -> str:
        return Assess.name if isinstance(event, StudyRevision) else self.name

    def __call__(self, batch: Sequence[Input[Event]], clock: Clock) -> Sequence[Outcome]:
        return [self._one(item, clock) for item in batch]

    def _one(self, item: Input[Event], clock: Clock) -> Outcome:
        """Raises Absent, StoreAway."""
        if isinstance(item.event, StudyRevision):
            return self._assess(Input(item.event, item.record), clock)
        (outcome,) = self._validate([item], clock)
        return outcome
