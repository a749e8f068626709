"""State with a sequence: what is lower than what is there is ignored, a gap stops the consumer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from consumers.catalog.database import Cursor
from consumers.catalog.text import document
from streams.events import SUBJECTS, Event, StudyRevision, TierMoved
from streams.stop import Stop

_HIGHEST = """
SELECT wanted.tenant, wanted.study_uid, coalesce(max(held.{number}), 0)
FROM json_to_recordset(%s::json) AS wanted(tenant text, study_uid text)
LEFT JOIN {table} held ON held.tenant = wanted.tenant AND held.study_uid = wanted.study_uid
GROUP BY 1, 2
"""


@dataclass(frozen=True)
class _Numbered:
    """A record that takes a place in its study's sequence."""

    tenant: str
    study_uid: str
    number: int


def check(cursor: Cursor, events: Iterable[Event]) -> None:
    """Raises Stop where the revisions of a study, or its tier moves, in log order, leave one out."""
    revisions, moves = [], []
    for event in events:
        if isinstance(event, StudyRevision):
            revisions.append(_Numbered(event.meta.tenant, event.study_uid, event.revision))
        elif isinstance(event, TierMoved):
            moves.append(_Numbered(event.meta.tenant, event.study_uid, event.seq))
    _check(cursor, revisions, "study_revisions", "revision", SUBJECTS[StudyRevision])
    _check(cursor, moves, "study_tiers", "seq", SUBJECTS[TierMoved])


def _check(cursor: Cursor, coming: list[_Numbered], table: str, number: str, topic: str) -> None:
    if not coming:
        return
    asked = document(
        [{"tenant": t, "study_uid": study} for t, study in sorted({(n.tenant, n.study_uid) for n in coming})]
    )
    query = _HIGHEST.format(table=table, number=number).encode()
    highest = {(tenant, study): last for tenant, study, last in cursor.execute(query, (asked,)).fetchall()}
    for one in coming:
        entity = (one.tenant, one.study_uid)
        if one.number > highest[entity] + 1:
            raise Stop(
                f"study {one.study_uid}: {number} {one.number} comes after {highest[entity]}, one is missing in "
                f"the log; look at {topic} (radstream tail) before anything else"
            )
        highest[entity] = max(highest[entity], one.number)
