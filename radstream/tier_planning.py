"""What tiering would do next, worked out from the log as it works it out, without asking it."""

from __future__ import annotations

from datetime import datetime

from consumers.tiering.explain import FACTS, MOVED, REVISIONS, Explanation, explain
from consumers.tiering.policy import Policy
from consumers.tiering.study import Study, decide, know
from streams.events import OfStudy, StudyRevision, TierMoved
from streams.log import Log, TopicPartition
from streams.wire import Record, Undecodable, decode


def explained(log: Log, tenant: str, policy: Policy, now: datetime) -> list[Explanation]:
    """Every study that has a revision, in the order of UIDs, as the policy sees it at a time.

    Raises LogAway, LogRefused, and UnknownSchema of records that this build is too old for.
    """
    found = []
    for (owner, study_uid), study in sorted(_studies(log).items()):
        if owner == tenant and study.revision:
            found.append(explain(tenant, study_uid, study, policy, now))
    return found


def _studies(log: Log) -> dict[tuple[str, str], Study]:
    """Folded out of the whole of four topics, by tenant and study."""
    studies: dict[tuple[str, str], Study] = {}
    revisions = log.topic_id(REVISIONS)
    for topic in (*FACTS, MOVED):
        partitions = [TopicPartition(topic, number) for number in range(log.partitions(topic))]
        for partition, (first, end) in log.bounds(partitions).items():
            for record in log.read(partition, first, end) if end > first else ():
                _fold(studies, record, revisions)
    return studies


def _fold(studies: dict[tuple[str, str], Study], record: Record, revisions: str) -> None:
    try:
        event = decode(record)
    except Undecodable:
        return  # The service made it a dead letter.
    if not isinstance(event, StudyRevision | OfStudy):
        return
    study = studies.setdefault((event.meta.tenant, event.study_uid), Study())
    if not isinstance(event, TierMoved):
        know(study, event, record.offset)
    elif event.seq == study.seq + 1:
        decide(study, event, record.offset, revisions)
