"""One study, whole: patient, series, verdicts, copies, revisions and times. Reading only."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from psycopg.rows import class_row, dict_row

from consumers.catalog.database import Cursor
from consumers.catalog.elsewhere import Elsewhere, elsewhere
from consumers.catalog.forwarding import Forwarded, HeldSent, forwarded, held_sent
from consumers.catalog.holds import Hold, holds
from consumers.catalog.imports import Import, imports
from consumers.catalog.inference import Result, Withdrawn, standing, withdrawn
from consumers.catalog.orders import Order, Performed, orders, performed_for
from consumers.catalog.quarantine import Verdicts, verdicts
from consumers.catalog.tiers import Kept, Reads, StudyTier, kept, reads, tier

# What is wrong with ten thousand images is wrong with the first few hundred as well.
QUARANTINED_MAX = 200

_STUDY = """
SELECT s.block_state, b.attributes, s.first_received_at, s.last_received_at
FROM studies s
LEFT JOIN blocks b
    ON b.tenant = s.tenant AND b.study_uid = s.study_uid AND b.series_uid = '' AND b.block_id = s.block_id
WHERE s.tenant = %(tenant)s AND s.study_uid = %(study_uid)s
"""

_SERIES = """
SELECT s.series_uid, s.modality, s.series_number, coalesce(s.description, made.description) AS description,
    coalesce(s.body_part, made.body_part) AS body_part, made.event_id::text AS result, count(i.digest) AS instances
FROM series s
LEFT JOIN instances i ON i.tenant = s.tenant AND i.study_uid = s.study_uid AND i.series_uid = s.series_uid
LEFT JOIN LATERAL (
    SELECT * FROM result_series r
    WHERE r.tenant = s.tenant AND r.study_uid = s.study_uid AND r.series_uid = s.series_uid
    ORDER BY r.event_id LIMIT 1
) AS made ON s.block_id IS NULL
WHERE s.tenant = %(tenant)s AND s.study_uid = %(study_uid)s
GROUP BY s.tenant, s.study_uid, s.series_uid, made.description, made.body_part, made.event_id
ORDER BY s.series_number NULLS LAST, s.series_uid
"""

_COUNTS = """
SELECT (SELECT count(*) FROM instances i WHERE i.tenant = %(tenant)s AND i.study_uid = %(study_uid)s) AS instances,
    (SELECT count(*) FROM served_instances i WHERE i.tenant = %(tenant)s AND i.study_uid = %(study_uid)s) AS served,
    (SELECT count(*) FROM valid_instances i WHERE i.tenant = %(tenant)s AND i.study_uid = %(study_uid)s) AS valid,
    (SELECT count(DISTINCT digest) FROM quarantined_instances q
        WHERE q.tenant = %(tenant)s AND q.study_uid = %(study_uid)s) AS quarantined,
    (SELECT count(*) - count(DISTINCT a.event_id) FROM arrivals a JOIN instances i ON i.tenant = a.tenant
        AND i.digest = a.digest WHERE i.tenant = %(tenant)s AND i.study_uid = %(study_uid)s) AS duplicates,
    (SELECT coalesce(sum(size), 0)::bigint FROM instances i
        WHERE i.tenant = %(tenant)s AND i.study_uid = %(study_uid)s) AS bytes_original
"""

_QUARANTINED = """
SELECT sop_instance_uid, digest, step, code, detail, decided_at, decision, decision_by FROM quarantined_instances
WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s
ORDER BY decided_at, digest LIMIT %(quarantined_max)s
"""

_FINDINGS = """
SELECT rule, severity, count(DISTINCT digest) AS instances, min(tag) AS first_tag, min(section) AS section,
    min(text) AS text, count(DISTINCT digest) FILTER (WHERE digest IN (
        SELECT digest FROM quarantined_instances WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s
    )) AS held
FROM current_findings
WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s
GROUP BY rule, severity
ORDER BY CASE severity WHEN 'error' THEN 0 WHEN 'warning' THEN 1 ELSE 2 END, instances DESC, rule
"""

_STUDY_FINDINGS = """
SELECT rule, severity, series_uid, instance_count AS instances, text, tag, section, instances AS first
FROM current_study_findings
WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s ORDER BY ordinal
"""

_COPIES = """
SELECT c.kind, c.media_type, c.transfer_syntax_uid, count(*) AS copies, sum(c.length)::bigint AS bytes,
    sum(c.source_size)::bigint AS bytes_of_their_originals,
    count(*) FILTER (WHERE c.digest IN (
        SELECT digest FROM quarantined_instances WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s
    )) AS held
FROM current_derivatives c
JOIN instances i ON i.tenant = c.tenant AND i.digest = c.digest
WHERE i.tenant = %(tenant)s AND i.study_uid = %(study_uid)s
GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""

# Over every stored copy. Nothing is saved while originals are kept: copies and pictures come on top. Were they
# released, each copy of an original would give way to its lossless one.
_SAVINGS = """
WITH stored AS (
    SELECT digest, count(*) AS copies, sum(size) AS bytes FROM current_copies
    WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s GROUP BY digest
), derived AS (
    SELECT c.digest, sum(c.length) AS bytes, min(c.length) FILTER (WHERE c.kind = 'lossless') AS lossless,
        min(c.source_size) AS source
    FROM current_derivatives c JOIN instances i ON i.tenant = c.tenant AND i.digest = c.digest
    WHERE i.tenant = %(tenant)s AND i.study_uid = %(study_uid)s GROUP BY c.digest
)
SELECT (SELECT coalesce(sum(bytes), 0)::bigint FROM stored) AS original_copies,
    (SELECT coalesce(sum(bytes), 0)::bigint FROM derived) AS derived,
    (SELECT -coalesce(sum(bytes), 0)::bigint FROM derived) AS saved,
    (SELECT coalesce(sum(
        CASE WHEN d.lossless IS NULL OR s.copies IS NULL THEN -d.bytes
        ELSE s.copies * (d.source - d.lossless) - (d.bytes - d.lossless) END
    ), 0)::bigint FROM derived d LEFT JOIN stored s USING (digest)) AS saved_if_released
"""

_REVISIONS = """
SELECT revision, instance_count AS instances, set_digest, decided_at,
    EXISTS (SELECT FROM jsonb_each_text(removals) r WHERE r.value::integer = revision) AS without_held
FROM study_revisions
WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s ORDER BY revision
"""

_WAY = """
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY way_s), percentile_cont(0.99) WITHIN GROUP (ORDER BY way_s)
FROM (
    SELECT extract(epoch FROM cataloged_at - received_at)::float8 AS way_s FROM instances
    WHERE tenant = %(tenant)s AND study_uid = %(study_uid)s AND cataloged_at IS NOT NULL
) AS ways
"""


class Counts(msgspec.Struct, frozen=True):
    """`served` is what is shown: valid, and of two contents under one SOP Instance UID the first received."""

    instances: int
    served: int
    valid: int
    quarantined: int
    duplicates: int
    bytes_original: int


class StudySavings(msgspec.Struct, frozen=True):
    """Bytes, over every stored copy: `saved` is below 0 while originals are kept, whatever copies of them there are."""

    original_copies: int
    derived: int
    saved: int
    saved_if_released: int


class Study(msgspec.Struct, frozen=True):
    """`patient` holds the protected attributes by DICOM keyword, empty where `block_state` is not 'open'.

    Of a study from outside, `imported` says whose it is here.
    A series that a model made names the `result` that it is of.
    `findings` are of instances, counted by rule, `held` of them of images that are held; `study_findings` of what does
    not fit together, each with the `first` of its instances. `elsewhere` are other studies with SOP Instance
    UIDs of this one.
    `copies` are made from the originals, `held` of them from images that are held; `withdrawn` results were made with
    such images, and `held_sent` are those that other nodes have. `kept` is where the originals are. `performed` is what
    modalities said of it, and says nothing of whether all images are here.
    """

    study_uid: str
    block_state: str | None
    patient: dict[str, Any]
    counts: Counts
    verdicts: Verdicts
    series: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]
    findings: list[dict[str, Any]]
    study_findings: list[dict[str, Any]]
    elsewhere: list[Elsewhere]
    copies: list[dict[str, Any]]
    savings: StudySavings
    revisions: list[dict[str, Any]]
    results: list[Result]
    withdrawn: list[Withdrawn]
    tier: StudyTier | None
    kept: list[Kept]
    holds: list[Hold]
    orders: list[Order]
    performed: list[Performed]
    imported: Import | None
    reads: Reads
    forwarded: list[Forwarded]
    held_sent: list[HeldSent]
    first_received_at: datetime
    last_received_at: datetime
    p50_s: float | None
    p99_s: float | None


def study(cursor: Cursor, tenant: str, study_uid: str) -> Study | None:
    """None where the catalog has no such study. Times to the row are those of instances written live."""
    asked = {"tenant": tenant, "study_uid": study_uid, "quarantined_max": QUARANTINED_MAX}
    head = cursor.execute(_STUDY, asked).fetchone()
    if head is None:
        return None
    block_state, attributes, first, last = head
    p50_s, p99_s = cursor.execute(_WAY, asked).fetchone() or (None, None)
    with cursor.connection.cursor(row_factory=class_row(Counts)) as counting:
        counts = counting.execute(_COUNTS, asked).fetchone()
    with cursor.connection.cursor(row_factory=class_row(StudySavings)) as summing:
        savings = summing.execute(_SAVINGS, asked).fetchone()
    assert counts is not None  # noqa: S101 - a SELECT of scalars has one row
    assert savings is not None  # noqa: S101
    return Study(
        study_uid=study_uid,
        block_state=block_state,
        patient=attributes or {},
        counts=counts,
        verdicts=verdicts(cursor, tenant, study_uid),
        series=_rows(cursor, _SERIES, asked),
        quarantined=_rows(cursor, _QUARANTINED, asked),
        findings=_rows(cursor, _FINDINGS, asked),
        study_findings=_rows(cursor, _STUDY_FINDINGS, asked),
        elsewhere=elsewhere(cursor, tenant, study_uid),
        copies=_rows(cursor, _COPIES, asked),
        savings=savings,
        revisions=_rows(cursor, _REVISIONS, asked),
        results=standing(cursor, tenant, study_uid),
        withdrawn=withdrawn(cursor, tenant, study_uid),
        tier=tier(cursor, tenant, study_uid),
        kept=kept(cursor, tenant, study_uid),
        holds=holds(cursor, tenant, study_uid=study_uid),
        orders=orders(cursor, tenant, study_uid=study_uid),
        performed=performed_for(cursor, tenant, study_uid),
        imported=next(iter(imports(cursor, tenant, study_uid=study_uid)), None),
        reads=reads(cursor, tenant, study_uid),
        forwarded=forwarded(cursor, tenant, study_uid),
        held_sent=held_sent(cursor, tenant, study_uid),
        first_received_at=first,
        last_received_at=last,
        p50_s=p50_s,
        p99_s=p99_s,
    )


def _rows(cursor: Cursor, query: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    with cursor.connection.cursor(row_factory=dict_row) as rows:
        return rows.execute(query.encode(), asked).fetchall()
