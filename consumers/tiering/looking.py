"""What is to be done with a study next: the move under way goes on, else the policy is asked."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from consumers.tiering.phases import NEXT, Plan, Work
from consumers.tiering.policy import INTO, Move, Policy, again_at, target
from consumers.tiering.state import Studies


def next_work(policy: Policy, state: Studies, entity: str, now: datetime) -> tuple[Work, Plan | None] | None:
    """None where nothing is to be done, neither at the clock's time `now` nor for the command that is looked after."""
    study, is_left = state.study(entity), state.is_left(entity, now)
    if study.phase is not None and study.moving:
        if state.is_waiting(entity, now):
            # An archive takes hours: a late image has its backup before.
            is_late = policy.backup is not None and not study.is_listed and not is_left
            return ("plan", Plan(Move("backup", None, policy.backup or ""), now)) if is_late else None
        work = NEXT[study.phase]
        return ("keep" if work == "release" and study.holds else work), None
    if entity in state.restores or (study.restoring >= 0 and not is_left):
        return "plan", Plan(Move("recall", None, INTO), now)
    if is_left:
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
