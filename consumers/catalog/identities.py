"""Whose a study is: what the first of the images that count says, and what follows from that for its patients.

Facts alone decide, in whatever order they come: of the valid images of a study the first received speaks for it; while
none is valid, of those that nobody has judged yet; where all are held, of those, and of rejected ones at last, since
who looks after the quarantine has to find the study. The same for a series. All of it is done in the transaction of
the facts: nobody ever sees a study under the name that a held image gave it.

Which image speaks is kept with the study (`spoken_by`), so an image that comes is compared with that one alone; only
where the one that speaks stands worse than before, all of the study are looked at.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from consumers.catalog.database import Cursor
from consumers.catalog.text import clean
from streams.events import (
    Event,
    ImportDecision,
    InstanceQuarantined,
    InstanceReceived,
    InstanceValidated,
    QuarantineCommand,
    StepGeneration,
)

# Two members that judge images of one study would each not see what the other has not committed. Locks by number, in
# order and studies before patients, bound how many there are and never wait for each other in a ring. A rebuild beside
# the live tables has locks of its own.
_OF_STUDIES, _OF_PATIENTS = 7_240_734, 7_240_735
_LOCKS: Final = 512
_LOCK = (
    "SELECT pg_advisory_xact_lock(%s::integer # hashtext(current_schema()), place) FROM unnest(%s::integer[]) AS place"
)
_SWITCHED_PAGE: Final = 10_000

_JUDGE = """
UPDATE instances i SET standing = s.standing
FROM instance_standings s
WHERE s.tenant = %(tenant)s AND s.digest = ANY(%(digests)s) AND s.standing <> s.before
    AND i.tenant = %(tenant)s AND i.digest = ANY(%(digests)s)
    AND i.sop_instance_uid = s.sop_instance_uid AND i.digest = s.digest
RETURNING s.standing > s.before
"""
_STAND = """
UPDATE study_identities d SET standing = now.standing
FROM (
    SELECT o.study_uid, o.identity, CASE
            WHEN EXISTS (
                SELECT FROM instances i
                WHERE i.tenant = o.tenant AND i.study_uid = o.study_uid AND i.study_identity = o.identity
                    AND i.standing = 0
            ) THEN 0
            ELSE coalesce((
                SELECT min(i.standing) FROM instances i
                WHERE i.tenant = o.tenant AND i.study_uid = o.study_uid AND i.study_identity = o.identity
            ), 4)
        END AS standing
    FROM study_identities o
    WHERE o.tenant = %(tenant)s AND o.study_uid = ANY(%(studies)s)
) AS now
WHERE d.tenant = %(tenant)s AND d.study_uid = ANY(%(studies)s) AND d.study_uid = now.study_uid
    AND d.identity = now.identity AND d.standing <> now.standing
RETURNING d.patient_key
"""

# The one that spoke is held now, or was valid and is no more.
_SILENCED = """
SELECT s.study_uid FROM studies s
JOIN study_speakers w ON w.tenant = s.tenant AND w.study_uid = s.study_uid
    AND w.digest = split_part(s.spoken_by, '/', 4)
WHERE s.tenant = %(tenant)s AND s.study_uid = ANY(%(studies)s) AND w.spoken_by > s.spoken_by
"""
_SILENCED_OF_SERIES = """
SELECT DISTINCT s.study_uid FROM series s
JOIN series_speakers w ON w.tenant = s.tenant AND w.study_uid = s.study_uid AND w.series_uid = s.series_uid
    AND w.digest = split_part(s.spoken_by, '/', 4)
WHERE s.tenant = %(tenant)s AND s.study_uid = ANY(%(studies)s) AND w.spoken_by > s.spoken_by
"""

_SAID_OF_STUDY: Final = (
    *("patient_key", "block_id", "block_state", "study_date", "study_time", "study_id", "accession_number"),
    *("description", "referring_physician", "outside", "outside_issuer"),
)
# An image of before migration 0017 keeps what the study says: what it said itself, the log alone knows.
_SPEAK = f"""
UPDATE studies s SET spoken_by = first.spoken_by,
    {", ".join(f"{name} = CASE WHEN d.identity IS NULL THEN s.{name} ELSE d.{name} END" for name in _SAID_OF_STUDY)}
FROM (
    SELECT DISTINCT ON (w.study_uid) w.study_uid, w.study_identity, w.spoken_by FROM study_speakers w
    WHERE w.tenant = %(tenant)s AND {{of}} ORDER BY w.study_uid, w.spoken_by
) AS first
LEFT JOIN study_identities d
    ON d.tenant = %(tenant)s AND d.study_uid = first.study_uid AND d.identity = first.study_identity
WHERE s.tenant = %(tenant)s AND s.study_uid = first.study_uid AND {{stands}}
"""
_SPEAK_OF_SERIES = """
UPDATE series s SET spoken_by = first.spoken_by, modality = first.modality, body_part = first.body_part,
    series_number = first.series_number,
    block_id = CASE WHEN first.series_block_id IS NULL THEN s.block_id ELSE nullif(first.series_block_id, '') END,
    block_state = CASE WHEN first.series_block_id IS NULL THEN s.block_state ELSE b.state END,
    description = CASE WHEN first.series_block_id IS NULL THEN s.description ELSE nullif(
        CASE WHEN jsonb_typeof(b.attributes->'SeriesDescription') = 'array' THEN (
            SELECT string_agg(said, '\\') FROM jsonb_array_elements_text(b.attributes->'SeriesDescription') AS said
        ) ELSE b.attributes->>'SeriesDescription' END, ''
    ) END
FROM (
    SELECT DISTINCT ON (w.study_uid, w.series_uid) w.* FROM series_speakers w
    WHERE w.tenant = %(tenant)s AND {of} ORDER BY w.study_uid, w.series_uid, w.spoken_by
) AS first
LEFT JOIN blocks b
    ON b.tenant = %(tenant)s AND b.study_uid = first.study_uid AND b.series_uid = first.series_uid
    AND b.block_id = first.series_block_id
WHERE s.tenant = %(tenant)s AND s.study_uid = first.study_uid AND s.series_uid = first.series_uid AND {stands}
"""
_OF_TOUCHED = {
    "of": "w.digest = ANY(%(digests)s)",
    "stands": "(s.spoken_by IS NULL OR first.spoken_by <= s.spoken_by)",
}
_OF_ALL = {"of": "w.study_uid = ANY(%(studies)s)", "stands": "true"}

# Who speaks may not be the one that says where a study is from: of one whose first image came from outside, no other
# makes it ours (docs/decisions/0092). That is asked where some say that it is from outside, and some do not.
_MIXED = """
SELECT d.study_uid, d.patient_key FROM study_identities d
WHERE d.tenant = %(tenant)s AND d.study_uid = ANY(%(studies)s) AND d.outside IS NULL AND EXISTS (
    SELECT FROM study_identities o
    WHERE o.tenant = d.tenant AND o.study_uid = d.study_uid AND o.outside IS NOT NULL
)
"""
_OUTSIDE = """
UPDATE studies s SET outside = d.outside, outside_issuer = d.outside_issuer
FROM studies t
CROSS JOIN LATERAL (
    SELECT i.study_identity FROM instances i WHERE i.tenant = t.tenant AND i.study_uid = t.study_uid
    ORDER BY i.received_at, i.digest LIMIT 1
) AS first
LEFT JOIN study_identities d
    ON d.tenant = t.tenant AND d.study_uid = t.study_uid AND d.identity = first.study_identity
WHERE t.tenant = %(tenant)s AND t.study_uid = ANY(%(mixed)s)
    AND EXISTS (
        SELECT FROM instances i
        JOIN study_identities w ON w.tenant = i.tenant AND w.study_uid = i.study_uid AND w.identity = i.study_identity
        WHERE i.tenant = t.tenant AND i.study_uid = t.study_uid AND i.digest = split_part(t.spoken_by, '/', 4)
            AND w.outside IS NULL
    )
    AND s.tenant = t.tenant AND s.study_uid = t.study_uid
"""

# The latest study that counts names the patient; a person's decision about a study from outside, where no study that
# counts does. A row whose words nobody has is of before migration 0017. What is brought to a study from outside by who
# brings ours says another hospital's numbers: it names a patient of ours where nothing else does.
_NAME = """
INSERT INTO patients AS held (tenant, patient_key, issuer, patient_id, name, birth_date, sex, spoken_by)
SELECT DISTINCT ON (patient_key) %(tenant)s, patient_key, issuer, patient_id, name, birth_date, sex, spoken_by
FROM (
    SELECT d.patient_key, d.issuer, d.patient_id, d.name, d.birth_date, d.sex, d.spoken_by,
        d.standing + CASE WHEN d.outside IS NULL AND s.outside IS NOT NULL THEN 10 ELSE 0 END AS standing
    FROM study_identities d LEFT JOIN studies s ON s.tenant = d.tenant AND s.study_uid = d.study_uid
    WHERE d.tenant = %(tenant)s AND d.patient_key = ANY(%(patients)s)
    UNION ALL
    SELECT patient_key, coalesce(patient_issuer, ''), patient_id, coalesce(patient_name, ''), coalesce(birth_date, ''),
        coalesce(sex, ''), concat_ws(
            '/', '', '', coalesce(patient_issuer, ''), patient_id, coalesce(patient_name, ''),
            coalesce(birth_date, ''), coalesce(sex, '')
        ), 1
    FROM import_decisions WHERE tenant = %(tenant)s AND patient_key = ANY(%(patients)s)
    UNION ALL
    SELECT p.patient_key, p.issuer, p.patient_id, p.name, p.birth_date, p.sex, p.spoken_by, 0 FROM patients p
    WHERE p.tenant = %(tenant)s AND p.patient_key = ANY(%(patients)s) AND p.spoken_by NOT LIKE '//%%' AND NOT EXISTS (
        SELECT FROM study_identities d
        WHERE d.tenant = p.tenant AND d.patient_key = p.patient_key AND d.spoken_by = p.spoken_by
    )
) AS said
ORDER BY patient_key, standing, spoken_by COLLATE "C" DESC
ON CONFLICT (tenant, patient_key) DO UPDATE SET issuer = excluded.issuer, patient_id = excluded.patient_id,
    name = excluded.name, birth_date = excluded.birth_date, sex = excluded.sex, spoken_by = excluded.spoken_by
WHERE held.spoken_by <> excluded.spoken_by
"""
_DECIDED = "SELECT patient_key FROM import_decisions WHERE tenant = %(tenant)s AND study_uid = ANY(%(decided)s)"
_SWITCHED = """
SELECT DISTINCT i.study_uid, i.digest FROM verdicts v JOIN instances i ON i.tenant = v.tenant AND i.digest = v.digest
WHERE v.tenant = %(tenant)s AND v.step = %(step)s AND v.generation = %(number)s AND v.candidate
    AND i.digest > %(after)s
ORDER BY i.digest LIMIT %(page)s
"""


@dataclass
class Touched:
    """What a batch may change, of one tenant. `switched` are a step and a generation whose candidates count now."""

    studies: set[str] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)
    decided: set[str] = field(default_factory=set)
    switched: list[tuple[str, int]] = field(default_factory=list)


def touched(events: Iterable[Event]) -> dict[str, Touched]:
    """By tenant."""
    found: dict[str, Touched] = {}
    for event in events:
        match event:
            case InstanceReceived() | InstanceValidated() | InstanceQuarantined() | QuarantineCommand():
                # As the rows have them: hostile UIDs are no reason to refuse a batch.
                of = found.setdefault(event.meta.tenant, Touched())
                of.studies.add(clean(event.instance.study_uid))
                of.digests.add(clean(event.instance.digest))
            case ImportDecision():
                found.setdefault(event.meta.tenant, Touched()).decided.add(clean(event.study_uid))
            case StepGeneration(phase="switched"):
                found.setdefault(event.meta.tenant, Touched()).switched.append((event.step, event.number))
            case _:
                pass
    return found


def lock(cursor: Cursor, changes: dict[str, Touched]) -> None:
    """Before the batch writes anything: who else touches these studies is waited for, and waits."""
    if any(of.switched for of in changes.values()):
        places = list(range(_LOCKS))
    else:
        places = _places((tenant, uid) for tenant, of in changes.items() for uid in of.studies)
    if places:
        cursor.execute(_LOCK, (_OF_STUDIES, places))


def settle(cursor: Cursor, changes: dict[str, Touched]) -> None:
    """After the batch has written its facts."""
    named: set[tuple[str, str]] = set()
    for tenant, of in sorted(changes.items()):
        for part in _parts(cursor, tenant, of):
            named |= {(tenant, key) for key in _settled(cursor, tenant, part)}
        if of.decided:
            asked = {"tenant": tenant, "decided": sorted(of.decided)}
            named |= {(tenant, key) for (key,) in cursor.execute(_DECIDED, asked).fetchall() if key}
    if named:
        cursor.execute(_LOCK, (_OF_PATIENTS, _places(named)))
    for tenant in sorted({tenant for tenant, _ in named}):
        cursor.execute(_NAME.encode(), {"tenant": tenant, "patients": sorted(key for of, key in named if of == tenant)})


def _parts(cursor: Cursor, tenant: str, of: Touched) -> Iterator[Touched]:
    """What the events name, and page by page what a generation concerns that was switched to."""
    if of.digests:
        yield of
    for step, number in of.switched:
        after = ""
        while True:
            asked = {"tenant": tenant, "step": step, "number": number, "after": after, "page": _SWITCHED_PAGE}
            found = cursor.execute(_SWITCHED, asked).fetchall()
            if found:
                after = found[-1][1]
                yield Touched({uid for uid, _ in found}, {digest for _, digest in found})
            if len(found) < _SWITCHED_PAGE:
                break


def _settled(cursor: Cursor, tenant: str, of: Touched) -> set[str]:
    """The patients of whom something else is said now."""
    asked: dict[str, Any] = {"tenant": tenant, "studies": sorted(of.studies - {""}), "digests": sorted(of.digests)}
    is_worse = [worse for (worse,) in cursor.execute(_JUDGE, asked).fetchall()]
    if not asked["studies"]:
        return set()
    patients = {str(key) for (key,) in cursor.execute(_STAND, asked).fetchall() if key}
    for speak, silenced in ((_SPEAK, _SILENCED), (_SPEAK_OF_SERIES, _SILENCED_OF_SERIES)):
        # Before the others are compared with who speaks no more.
        lost = [uid for (uid,) in cursor.execute(silenced, asked).fetchall()] if any(is_worse) else []
        cursor.execute(speak.format(**_OF_TOUCHED).encode(), asked)
        if lost:
            cursor.execute(speak.format(**_OF_ALL).encode(), {**asked, "studies": lost})
    if mixed := cursor.execute(_MIXED, asked).fetchall():
        cursor.execute(_OUTSIDE, {**asked, "mixed": sorted({uid for uid, _ in mixed})})
        patients |= {str(key) for _, key in mixed if key}
    return patients


def _places(names: Iterable[tuple[str, str]]) -> list[int]:
    return sorted({zlib.crc32("/".join(name).encode("utf-8", "replace")) % _LOCKS for name in names})
