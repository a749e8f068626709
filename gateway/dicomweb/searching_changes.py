"""Studies whose summaries are not of this moment: theirs are made here, as the catalog makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from psycopg.rows import dict_row

from consumers.catalog.summaries import SERIES, SERVED, STUDIES, Summaries, made, parameters
from consumers.catalog.text import document
from gateway.catalog import Cursor
from gateway.dicomweb.searching_query import Query
from gateway.dicomweb.searching_sql import Changed, Scope

# Those of the last second. There are more after a migration, until the catalog's consumer has seen to all of them.
_LIVE_MAX: Final = 100
_NAMED_MAX: Final = 1000

_NOTED = "SELECT DISTINCT study_uid FROM study_changes WHERE tenant = %s LIMIT %s"
_NOTED_OF = "SELECT DISTINCT study_uid FROM study_changes WHERE tenant = %s AND study_uid = ANY(%s) LIMIT %s"


@dataclass(frozen=True)
class Changes:
    """`left_out`: more have changed than are made here, and those are not among the results."""

    now: Changed
    left_out: bool


async def changed(cursor: Cursor, tenant: str, scope: Scope, query: Query) -> Changes:
    """Of the studies that the search names, or of all."""
    named = _named(scope, query)
    asked: tuple[Any, ...] = (tenant, _NAMED_MAX + 1) if named is None else (tenant, named, _NAMED_MAX + 1)
    found = await (await cursor.execute(_NOTED if named is None else _NOTED_OF, asked)).fetchall()
    uids = [uid for (uid,) in found]
    if not uids:
        return Changes(Changed([]), left_out=False)
    live = await _live(cursor, tenant, uids[:_LIVE_MAX])
    many = len(uids) > _NAMED_MAX
    return Changes(
        Changed(None if many else uids, document(live.studies), document(live.series)), left_out=len(uids) > _LIVE_MAX
    )


def _named(scope: Scope, query: Query) -> list[str] | None:
    if scope.study_uid is not None:
        return [scope.study_uid]
    uids = query.match.get(("StudyInstanceUID",), "")
    # Asterisks name none, so it may be any.
    return [uid.strip() for uid in uids.replace("\\", ",").split(",")] if uids.strip("*") else None


async def _live(cursor: Cursor, tenant: str, uids: list[str]) -> Summaries:
    asked = parameters(tenant, uids)
    async with cursor.connection.cursor(row_factory=dict_row) as rows:
        answers = [
            await (await rows.execute(text, asked, prepare=False)).fetchall() for text in (STUDIES, SERIES, SERVED)
        ]
    return made(tenant, *answers)
