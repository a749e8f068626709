"""One generation of a step beside what is current without it: subject by subject, what is the same and what is not.

Compared is what the events say, but for ids, times, keys and lineage: those of two generations always differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from consumers.catalog.database import Cursor
from consumers.catalog.text import document
from streams.events import Replay

EXAMPLES_MAX = 20
_FETCHED = 2000

_DERIVATIONS = """
SELECT d.digest, d.study_uid, d.generation, d.event_id, d.provenance, jsonb_build_object(
    'source_size', d.source_size, 'notes', d.notes, 'copies', (
        SELECT coalesce(jsonb_object_agg(r.kind, jsonb_build_object('media_type', r.media_type,
            'transfer_syntax_uid', r.transfer_syntax_uid, 'rows', r.rows, 'columns', r.columns,
            'length', r.length, 'sha256', r.sha256)), '{{}}')
        FROM derivatives r WHERE r.event_id = d.event_id
    )) AS said
FROM {table} d WHERE d.tenant = %(tenant)s AND %(step)s = 'derive'
"""

_VERDICTS = """
SELECT v.digest, v.study_uid, v.generation, v.event_id, v.provenance, jsonb_build_object(
    'verdict', v.verdict, 'code', v.code, 'detail', v.detail, 'findings', (
        SELECT coalesce(jsonb_object_agg(f.ordinal, jsonb_build_array(f.rule, f.severity, f.tag, f.section, f.text)),
            '{{}}')
        FROM findings f WHERE f.event_id = v.event_id
    )) AS said
FROM {table} v WHERE v.tenant = %(tenant)s AND v.step = %(step)s
"""

_SIDES = {"derive": ("derivations", _DERIVATIONS), "validate": ("verdicts", _VERDICTS)}

# What is missing is counted where the replay read the record that the current one was made of.
_COMPARED = """
WITH made AS (
    SELECT DISTINCT ON (digest) * FROM ({made}) AS said WHERE generation = %(generation)s ORDER BY digest, event_id
), others AS (
    SELECT DISTINCT ON (digest) * FROM ({others}) AS said WHERE generation <> %(generation)s
    ORDER BY digest, generation DESC, event_id DESC
)
SELECT digest, coalesce(made.study_uid, others.study_uid), others.said, made.said
FROM made FULL JOIN others USING (digest)
WHERE made.digest IS NOT NULL OR (
    (%(study_uid)s::text IS NULL OR others.study_uid = %(study_uid)s) AND EXISTS (
        SELECT FROM jsonb_to_recordset(others.provenance->'inputs') AS read(topic text, partition int, "offset" bigint)
        WHERE read."offset" >= (%(starts)s::jsonb->>(read.topic || '/' || read.partition))::bigint
            AND read."offset" < (%(ends)s::jsonb->>(read.topic || '/' || read.partition))::bigint
    )
)
"""


class Difference(msgspec.Struct, frozen=True):
    """One instance. `what` names what differs, or is 'missing' in the generation, or 'extra' in it."""

    digest: str
    study_uid: str
    what: tuple[str, ...]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`differences` counts how often each thing differs; `examples` are the first few."""

    step: str
    generation: int
    same: int
    different: int
    missing: int
    extra: int
    differences: dict[str, int]
    examples: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        return not (self.different or self.missing or self.extra)


def compare(cursor: Cursor, tenant: str, step: str, generation: int, replay: Replay) -> Comparison:
    """Of the steps validate and derive. `cursor` is of a snapshot: everything is of one moment."""
    counted: Counter[str] = Counter()
    differences: Counter[str] = Counter()
    examples: list[Difference] = []
    for found in _differences(cursor, tenant, step, generation, replay):
        kind = found.what[0] if found.what in (("missing",), ("extra",)) else "different" if found.what else "same"
        counted[kind] += 1
        if found.what:
            differences.update(found.what)
            if len(examples) < EXAMPLES_MAX:
                examples.append(found)
    return Comparison(
        step=step,
        generation=generation,
        same=counted["same"],
        different=counted["different"],
        missing=counted["missing"],
        extra=counted["extra"],
        differences=dict(differences.most_common()),
        examples=tuple(examples),
    )


def _differences(cursor: Cursor, tenant: str, step: str, generation: int, replay: Replay) -> Iterator[Difference]:
    table, side = _SIDES[step]
    query = _COMPARED.format(made=side.format(table=table), others=side.format(table=f"effective_{table}"))
    asked = {
        "tenant": tenant,
        "step": step,
        "generation": generation,
        "study_uid": replay.study_uid,
        "starts": document(replay.starts),
        "ends": document(replay.ends),
    }
    # Rows come as they are read: an archive's worth of them is never in memory.
    with cursor.connection.cursor("compared") as rows:
        rows.itersize = _FETCHED
        for digest, study_uid, others, made in rows.execute(query.encode(), asked):
            yield Difference(digest, study_uid, tuple(sorted(_what(others, made))))


def _what(others: Mapping[str, Any] | None, made: Mapping[str, Any] | None) -> Iterator[str]:
    if others is None or made is None:
        yield "extra" if others is None else "missing"
        return
    for name in others.keys() | made.keys():
        before, after = others.get(name), made.get(name)
        if isinstance(before, dict) and isinstance(after, dict):
            yield from _named(name, before, after)
        elif before != after:
            yield name


def _named(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Findings differ as a whole; of copies it is said which, and what of it."""
    if name == "findings":
        if before != after:
            yield name
        return
    for kind in before.keys() | after.keys():
        old, new = before.get(kind), after.get(kind)
        if old is None or new is None:
            yield f"{kind} {'added' if old is None else 'gone'}"
        else:
            yield from (f"{kind} {part}" for part in old if old[part] != new[part])
