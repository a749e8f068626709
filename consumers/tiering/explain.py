"""Why a study is where it is: its state, what the policy wants, when, and what stands in the way."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
from confluent_kafka import murmur2

from consumers.tiering.policy import Move, Policy, Stay, again_at, target
from consumers.tiering.study import INSTANCES_MAX, Held, Study, decide, know
from streams.events import SUBJECTS, AccessRead, HoldCommand, StudyRevision, TierMoved
from streams.identity import partition_key
from streams.log import Log, TopicPartition
from streams.wire import Undecodable, decode

REVISIONS, MOVED = SUBJECTS[StudyRevision], SUBJECTS[TierMoved]
FACTS = (REVISIONS, SUBJECTS[AccessRead], SUBJECTS[HoldCommand])


Wants = Literal["backup", "age", "recall", "other", "stay", "moving"]


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """One study, for people. `wants` is the next move, or `stay`; `moving` while one is under way.

    `due_at` is when time alone changes it; `why` and `why_not` are sentences, `why_not` empty where nothing is in the
    way of what age and use want.
    """

    tenant: str
    study_uid: str
    asked_for: datetime
    policy_digest: str
    revision: int
    instances: int
    last_received_at: datetime | None
    last_access_at: datetime | None
    holds: tuple[str, ...]
    seq: int
    move: int
    phase: str | None
    decided_at: datetime | None
    serving: str
    copies: tuple[Held, ...]
    wants: Wants
    source: str | None
    target: str | None
    due_at: datetime | None
    why: str
    why_not: str


def explain(tenant: str, study_uid: str, study: Study, policy: Policy, now: datetime) -> Explanation:
    """`now` is the time that the policy is asked about."""
    next_step = target(policy, study, now, retry=not study.failed or now >= again_at(study))
    wants: Wants = "stay"
    source = goal = due_at = None
    if study.moving:
        wants, source, goal = "moving", study.source, study.target
        why, why_not = f"move {study.move} to {study.target} is under way: {study.phase}", ""
    elif isinstance(next_step, Move):
        wants, source, goal = next_step.why, next_step.source, next_step.target
        why, why_not = _why(next_step, policy), ""
    else:
        due_at = next_step.until
        why, why_not = _why_stays(next_step, study, policy)
    return Explanation(
        tenant=tenant,
        study_uid=study_uid,
        asked_for=now,
        policy_digest=policy.digest,
        revision=study.revision,
        instances=study.instances,
        last_received_at=study.received_at,
        last_access_at=study.accessed_at,
        holds=study.holds,
        seq=study.seq,
        move=study.move,
        phase=study.phase,
        decided_at=study.decided_at,
        serving=study.serving or "hot",
        copies=study.held,
        wants=wants,
        source=source,
        target=goal,
        due_at=due_at,
        why=why,
        why_not=why_not,
    )


def _why(move: Move, policy: Policy) -> str:
    if move.why == "backup":
        return f"not every instance has a verified copy in {move.target}"
    days = next(tier.days for tier in policy.stores if tier.name == move.source)
    return f"it was neither received nor read for {days} days: it goes from {move.source} to {move.target}"


def _why_stays(stay: Stay, study: Study, policy: Policy) -> tuple[str, str]:
    if stay.why == "in_place":
        return "it is where its age and its last use want it", ""
    if stay.why == "restored":
        return "it was restored, and goes back unless somebody reads it until then", ""
    if stay.why == "no_revision":
        return "it has no revision yet", "a study has its first revision when it was quiet for a while"
    if stay.why == "too_large":
        return "it stays where it is", f"it has {study.instances} instances; {INSTANCES_MAX} are moved at most"
    if stay.why == "held":
        return "its age wants it elsewhere", f"held by {', '.join(study.holds)}; nothing is released under a hold"
    missing = study.listed - study.verified_in(policy.backup or "")
    lacks = f"; {missing} instances have no verified copy in {policy.backup}" if policy.backup and missing else ""
    return "the last move failed", f"see the log of the service{lacks}; it is tried again by itself, or by tier run"


def read_study(log: Log, tenant: str, study_uid: str) -> Study:
    """The study, folded out of its partition of every topic that tells of it. Unknown ones have revision 0.

    Raises LogAway, LogRefused, and UnknownSchema of records that this build is too old for.
    """
    key = partition_key(tenant, study_uid)
    number = murmur2(key, log.partitions(MOVED))
    revisions, study = log.topic_id(REVISIONS), Study()
    for topic in (*FACTS, MOVED):
        partition = TopicPartition(topic, number)
        first, end = log.bounds([partition])[partition]
        for record in log.read(partition, first, end) if end > first else ():
            if record.key != key:
                continue
            try:
                event = decode(record)
            except Undecodable:
                continue  # The service made it a dead letter.
            if not isinstance(event, TierMoved):
                know(study, event, record.offset)
            elif event.seq == study.seq + 1:
                decide(study, event, record.offset, revisions)
    return study
