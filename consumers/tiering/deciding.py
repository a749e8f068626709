"""A phase that has ended, as a decision."""

from __future__ import annotations

from datetime import datetime

from consumers.tiering.phases import Ended, Task
from consumers.tiering.policy import INTO, Move
from consumers.tiering.state import COMMANDS, FACTS, REVISIONS
from streams.events import InputRef, Meta, TierMoved
from streams.generation import StepIdentity


def decision(task: Task, ended: Ended, identity: StepIdentity, now: datetime) -> TierMoved:
    """The study's next decision. `now` is the clock's; what the policy was asked about is the plan's."""
    study, last = task.state.study(task.entity), ended.last.event if ended.last else None
    seq = study.seq + 1
    subject = f"{task.study_uid}/{seq}"
    about = ended.revision.event if ended.revision else last
    if about is None:
        raise ValueError("a first plan is made of a revision")
    move = move_of(task, last)
    return TierMoved(
        meta=Meta(
            event_id=identity.event_id(task.tenant, subject, 0),
            tenant=task.tenant,
            site=about.meta.site,
            lane=about.meta.lane,
            subject=subject,
            occurred_at=now,
        ),
        provenance=identity.provenance_of(inputs(task, ended)),
        study_uid=task.study_uid,
        seq=seq,
        move=study.move + 1 if task.plan else study.move,
        phase=ended.phase,
        why=move.why,
        source=move.source,
        target=move.target,
        serving=move.target if ended.phase == "switched" else study.serving or INTO,
        items=ended.items,
        covers=covers(task, ended),
        decided_for=task.plan.decided_for if task.plan else last.decided_for if last else now,
        last_access_at=study.accessed_at,
        holds=study.holds,
    )


def move_of(task: Task, last: TierMoved | None) -> Move:
    """What is planned, or what goes on."""
    if task.plan is not None:
        return task.plan.move
    if last is None:
        raise ValueError("a move that goes on has begun")
    return Move(last.why, last.source, last.target)


def inputs(task: Task, ended: Ended) -> tuple[InputRef, ...]:
    """The records that it was made of: the revision whose instances it lists, the last decision, and of a restore the
    command that asked for it."""
    made_of = tuple(one.ref for one in (ended.revision, ended.last) if one is not None)
    if task.plan is not None:
        return made_of if task.command is None else (*made_of, task.command)
    asked = [ref for ref in ended.last.event.provenance.inputs if ref.topic == COMMANDS] if ended.last else []
    return (*made_of, *asked)


def covers(task: Task, ended: Ended) -> dict[str, int]:
    """By topic id. Of the revisions: the one whose instances are listed, which is not always the newest."""
    read = {task.state.topic_ids[topic]: task.state.read.get(topic, 0) - 1 for topic in FACTS if topic != REVISIONS}
    listed = ended.revision.record.offset if ended.revision else task.study.covered
    return {
        topic_id: offset
        for topic_id, offset in {**read, task.state.topic_ids[REVISIONS]: listed}.items()
        if offset >= 0
    }
