"""What people ask of verdicts: what is held and waits for a person, what was decided, which rules are broken.

Reading only.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from psycopg.rows import class_row, dict_row

from consumers.catalog.database import Cursor

FINDINGS_MAX = 1000
FLOWING_MAX = 10

_STANDING = """
SELECT v.verdict, d.action AS decision, d.actor AS decision_by, d.commanded_at AS decision_at, d.event_id::text
FROM (SELECT %(tenant)s::text AS tenant, %(digest)s::text AS digest) AS asked
LEFT JOIN instance_verdicts v USING (tenant, digest)
LEFT JOIN quarantine_decisions d USING (tenant, digest)
LIMIT 1
"""
_OF_INSTANCE = """
SELECT rule, severity, tag, section, text FROM current_findings
WHERE tenant = %(tenant)s AND digest = %(digest)s ORDER BY ordinal LIMIT %(limit)s
"""
# Of all tenants: a service watches them all, and a reason names nobody.
_UNDECIDED = """
SELECT code, count(DISTINCT (tenant, digest)) FROM quarantined_instances WHERE decision IS NULL GROUP BY code
"""
_FLOWING = """
SELECT digest, study_uid, received_at FROM valid_instances
WHERE tenant = %(tenant)s AND study_uid <> '' AND (digest = %(name)s OR sop_instance_uid = %(name)s)
ORDER BY digest LIMIT %(limit)s
"""
_VERDICTS = """
SELECT verdict, count(*) FROM instance_verdicts
WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s GROUP BY verdict
"""
_HELD = """
SELECT code, count(DISTINCT digest) FROM quarantined_instances
WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s AND decision IS DISTINCT FROM 'rejected' GROUP BY code
ORDER BY code
"""
_HELD_OF_STUDY = """
SELECT DISTINCT digest FROM quarantined_instances WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s
"""
_BROKEN = """
SELECT f.rule, f.severity, coalesce(i.modality, '') AS modality, count(DISTINCT f.digest) AS instances,
    count(DISTINCT f.study_uid) AS studies, max(v.decided_at) AS last_at, min(f.section) AS section, min(f.text) AS text
FROM current_findings f
JOIN instances i ON i.tenant = f.tenant AND i.digest = f.digest
JOIN verdicts v ON v.event_id = f.event_id
WHERE f.tenant = %(tenant)s
    AND (%(rule)s::text IS NULL OR f.rule = %(rule)s)
    AND (%(severity)s::text IS NULL OR f.severity = %(severity)s)
    AND (%(modality)s::text IS NULL OR i.modality = %(modality)s)
    AND (%(study_uid)s::text IS NULL OR f.study_uid = %(study_uid)s)
    AND (%(since)s::timestamptz IS NULL OR v.decided_at >= %(since)s)
GROUP BY 1, 2, 3
ORDER BY CASE f.severity WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, 4 DESC, 1, 3
LIMIT %(limit)s
"""


class Standing(msgspec.Struct, frozen=True):
    """One instance. `verdict` is None until validation has looked at it, `decision` until a person has decided."""

    verdict: str | None
    decision: str | None
    decision_by: str | None
    decision_at: datetime | None
    event_id: str | None


class Flowing(msgspec.Struct, frozen=True):
    """An instance of a study that nobody holds."""

    digest: str
    study_uid: str
    received_at: datetime


class Verdicts(msgspec.Struct, frozen=True):
    """How many instances of a study have each verdict. `held` counts those that flow for nobody yet, by reason.

    `rejected` ones are quarantined too; no person is waited for any more.
    """

    accepted: int
    accepted_with_findings: int
    quarantined: int
    held: dict[str, int]
    rejected: int


class BrokenRule(msgspec.Struct, frozen=True):
    """A rule that is broken in images of a modality; empty where they do not say theirs."""

    rule: str
    severity: str
    modality: str
    instances: int
    studies: int
    last_at: datetime
    section: str | None
    text: str


def standing(cursor: Cursor, tenant: str, digest: str) -> Standing:
    with cursor.connection.cursor(row_factory=class_row(Standing)) as rows:
        found = rows.execute(_STANDING.encode(), {"tenant": tenant, "digest": digest}).fetchone()
    assert found is not None  # noqa: S101 - what is asked is a row
    return found


def flowing(cursor: Cursor, tenant: str, name: str) -> list[Flowing]:
    """Those of a digest (hex) or of a SOP Instance UID: several where one UID has several contents."""
    with cursor.connection.cursor(row_factory=class_row(Flowing)) as rows:
        asked = {"tenant": tenant, "name": name, "limit": FLOWING_MAX}
        return rows.execute(_FLOWING.encode(), asked).fetchall()


def findings_of(cursor: Cursor, tenant: str, digest: str) -> list[dict[str, Any]]:
    """In the order in which validation said them."""
    asked = {"tenant": tenant, "digest": digest, "limit": FINDINGS_MAX}
    with cursor.connection.cursor(row_factory=dict_row) as rows:
        return rows.execute(_OF_INSTANCE.encode(), asked).fetchall()


def undecided(cursor: Cursor) -> dict[str, int]:
    """By reason, how many instances wait for a person."""
    return {str(code): int(count) for code, count in cursor.execute(_UNDECIDED.encode()).fetchall()}


def verdicts(cursor: Cursor, tenant: str, study_uid: str) -> Verdicts:
    asked = {"tenant": tenant, "study_uid": study_uid}
    counted = {str(name): int(count) for name, count in cursor.execute(_VERDICTS.encode(), asked).fetchall()}
    held = {str(code): int(count) for code, count in cursor.execute(_HELD.encode(), asked).fetchall()}
    quarantined = counted.get("quarantined", 0)
    return Verdicts(
        accepted=counted.get("accepted", 0),
        accepted_with_findings=counted.get("accepted_with_findings", 0),
        quarantined=quarantined,
        held=held,
        rejected=max(0, quarantined - sum(held.values())),
    )


def held_in(cursor: Cursor, tenant: str, study_uid: str) -> frozenset[str]:
    """Digests of a study's instances that flow to nobody: held and not decided on, or rejected."""
    asked = {"tenant": tenant, "study_uid": study_uid}
    return frozenset(str(digest) for (digest,) in cursor.execute(_HELD_OF_STUDY.encode(), asked).fetchall())


def broken_rules(
    cursor: Cursor,
    tenant: str,
    *,
    rule: str | None = None,
    severity: str | None = None,
    modality: str | None = None,
    study_uid: str | None = None,
    since: datetime | None = None,
) -> list[BrokenRule]:
    """By rule and modality, the worst first. `since` is when the verdict was given."""
    asked = {
        "tenant": tenant,
        "rule": rule,
        "severity": severity,
        "modality": modality,
        "study_uid": study_uid,
        "since": since,
        "limit": FINDINGS_MAX,
    }
    with cursor.connection.cursor(row_factory=class_row(BrokenRule)) as rows:
        return rows.execute(_BROKEN.encode(), asked).fetchall()
