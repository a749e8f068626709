"""What is to be done with a study next: the move under way goes on, else the policy is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from consumers.tiering.phases import NEXT, Plan, Work
from consumers.tiering.policy import Move, Policy, again_at, target
from consumers.tiering.state import Studies


def next_work(policy: Policy, state: Studies, entity: str, now: datetime) -> tuple[Work, Plan | None] | None:
    """None where nothing is to be done, neither at the clock's time `now` nor for the command that is looked after."""
    study = state.study(entity)
    if study.phase is not None and study.moving:
        work = NEXT[study.phase]
        return ("keep" if work == "release" and study.holds else work), None
    if state.is_left(entity, now):
        return None
    for at, retry in _times(state, entity, now):
        wanted = target(policy, study, at, retry=retry)
        if isinstance(wanted, Move):
            return "plan", Plan(wanted, at)
    return None


def _times(state: Studies, entity: str, now: datetime) -> Iterator[tuple[datetime, bool]]:
    """What the policy is asked about, and whether what failed may be tried again then."""
    study = state.study(entity)
    yield now, not study.failed or now >= again_at(study)
    if state.asked and (asked := state.asked[0]).open is not None and entity in asked.open:
        yield asked.now, not study.failed or study.offset < asked.since
