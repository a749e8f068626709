"""State with a sequence: what is lower than what is there is ignored, a gap stops the consumer."""

from __future__ import annotations

from collections.abc import Iterable

from consumers.catalog.database import Cursor
from consumers.catalog.text import document
from streams.events import StudyRevision
from streams.stop import Stop

_HIGHEST = """
SELECT wanted.tenant, wanted.study_uid, coalesce(max(r.revision), 0)
FROM json_to_recordset(%s::json) AS wanted(tenant text, study_uid text)
LEFT JOIN study_revisions r ON r.tenant = wanted.tenant AND r.study_uid = wanted.study_uid
GROUP BY 1, 2
"""


def check(cursor: Cursor, revisions: Iterable[StudyRevision]) -> None:
    """Raises Stop where a study's revisions, in log order, leave one out: its record was lost or comes from nowhere."""
    coming = list(revisions)
    if not coming:
        return
    studies = sorted({(event.meta.tenant, event.study_uid) for event in coming})
    asked = document([{"tenant": tenant, "study_uid": study} for tenant, study in studies])
    highest = {(tenant, study): number for tenant, study, number in cursor.execute(_HIGHEST, (asked,)).fetchall()}
    for event in coming:
        entity = (event.meta.tenant, event.study_uid)
        if event.revision > highest[entity] + 1:
            raise Stop(
                f"study {event.study_uid}: revision {event.revision} comes after {highest[entity]}, one is missing in "
                "the log; look at imaging.study.revision (radstream tail) before anything else"
            )
        highest[entity] = max(highest[entity], event.revision)
