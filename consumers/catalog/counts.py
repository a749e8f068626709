"""How much the catalog holds of each topic: what has to agree with the log."""

from __future__ import annotations

from consumers.catalog.database import Cursor

COUNTED = {
    "imaging.instance.received": "SELECT count(DISTINCT event_id) FROM instances",
    "imaging.instance.validated": "SELECT count(*) FROM verdicts WHERE verdict = 'validated'",
    "imaging.instance.quarantined": "SELECT count(*) FROM verdicts WHERE verdict = 'quarantined'",
    "imaging.instance.derived": "SELECT count(*) FROM derivations",
    "imaging.study.revision": "SELECT count(*) FROM study_revisions",
    "imaging.study.assessed": "SELECT count(*) FROM study_assessments",
    "imaging.audit.event": "SELECT count(*) FROM audit",
    "imaging.step.generation": "SELECT count(*) FROM generations",
    "imaging.tier.moved": "SELECT count(*) FROM tier_moves",
    "imaging.hold.command": "SELECT count(*) FROM hold_commands",
    "imaging.inference.result": "SELECT count(*) FROM inferences",
    "imaging.review.event": "SELECT count(*) FROM reviews",
    "imaging.forward.result": "SELECT count(*) FROM forwards",
    "imaging.access.read": "SELECT count(*) FROM accesses",
    "imaging.order.command": "SELECT count(*) FROM order_commands",
    "imaging.mpps.event": "SELECT count(*) FROM mpps_events",
    "imaging.commitment.request": "SELECT count(*) FROM commitment_requests",
    "imaging.commitment.result": "SELECT count(*) FROM commitment_results",
    "imaging.commitment.report": "SELECT count(*) FROM commitment_reports",
    "imaging.import.decision": "SELECT count(*) FROM import_decisions",
    "imaging.quarantine.command": "SELECT count(*) FROM quarantine_commands",
}

# What is still to come of what is here, when nothing new arrives.
_OPEN = {
    "without a verdict": (
        "SELECT count(*) FROM instances i WHERE NOT EXISTS "
        "(SELECT FROM effective_verdicts v WHERE v.tenant = i.tenant AND v.digest = i.digest)"
    ),
    "without copies": (
        "SELECT count(*) FROM valid_instances i WHERE NOT EXISTS "
        "(SELECT FROM effective_derivations d WHERE d.tenant = i.tenant AND d.digest = i.digest)"
    ),
    "studies without a current revision": (
        "SELECT count(*) FROM (SELECT tenant, study_uid, count(DISTINCT digest) AS images FROM valid_instances "
        "WHERE study_uid <> '' GROUP BY 1, 2) AS s "
        "WHERE NOT EXISTS (SELECT FROM current_revisions r "
        "WHERE r.tenant = s.tenant AND r.study_uid = s.study_uid AND r.instance_count = s.images)"
    ),
    "studies whose current revision is not assessed": (
        "SELECT count(*) FROM current_revisions r WHERE NOT EXISTS (SELECT FROM study_assessments a "
        "WHERE a.tenant = r.tenant AND a.study_uid = r.study_uid AND a.revision = r.revision)"
    ),
    "moves under way": (
        "SELECT count(*) FROM study_tiers "
        "WHERE phase NOT IN ('released', 'abandoned') "
        "AND NOT (source IS NULL AND phase = CASE why WHEN 'recall' THEN 'switched' ELSE 'verified' END)"
    ),
    # Where a site backs up, it backs up every instance.
    "studies that tiering has not seen whole": (
        "SELECT count(*) FROM current_revisions r LEFT JOIN study_tiers t USING (tenant, study_uid) "
        "WHERE coalesce(t.objects, 0) < r.instance_count AND EXISTS (SELECT FROM tier_moves WHERE why = 'backup')"
    ),
}


def counts(cursor: Cursor) -> dict[str, int]:
    """How many distinct events of each logical topic have rows. Compare it within one `database.snapshot`."""
    return {topic: _one(cursor, query) for topic, query in COUNTED.items()}


def open_work(cursor: Cursor) -> dict[str, int]:
    """What the services behind have not done yet; all zero once everything came through."""
    return {what: _one(cursor, query) for what, query in _OPEN.items()}


def _one(cursor: Cursor, query: str) -> int:
    found = cursor.execute(query.encode()).fetchone()
    return int(found[0]) if found else 0
