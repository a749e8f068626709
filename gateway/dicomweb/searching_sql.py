"""A search as SQL: which rows, in which order, from which place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.dicomweb.searching_attributes import BY_KEYWORD, Level
from gateway.dicomweb.searching_matching import Condition, condition, items, moments, whole_days
from gateway.dicomweb.searching_query import Path, Query, is_matched

# Of what is kept, and of what is made at this moment for studies that have changed since.
_KEPT: Final = ("study_summaries AS s", "series_summaries AS e")
_LIVE: Final = (
    "json_populate_recordset(NULL::study_summaries, %s::json) AS s",
    "json_populate_recordset(NULL::series_summaries, %s::json) AS e",
)
# From outside, and no person has said yet whose it is here (docs/decisions/0073). Asked for each row that is looked at,
# by its key: a plan for all rows at once is good for none (docs/decisions/0061).
UNRECONCILED: Final = """EXISTS (
    SELECT FROM studies o
    WHERE o.tenant = s.tenant AND o.study_uid = s.study_uid AND o.outside IS NOT NULL AND NOT EXISTS (
        SELECT FROM current_imports c WHERE c.tenant = o.tenant AND c.study_uid = o.study_uid
    )
    OFFSET 0
)"""
# What such a study has from elsewhere: it is neither shown nor matched.
OF_ELSEWHERE: Final = frozenset(
    {
        "PatientID",
        "IssuerOfPatientID",
        "OtherPatientIDs",
        "OtherPatientNames",
        "AccessionNumber",
        "RequestAttributesSequence",
    }
)
_SERIES_OF: Final = "e.tenant = s.tenant AND e.study_uid = s.study_uid"
_INSTANCES: Final = (
    "served_instances AS i ON i.tenant = s.tenant AND i.study_uid = s.study_uid AND i.series_uid = e.series_uid"
)
_FRESH: Final = "s.study_uid <> ALL(%s)"
# A backlog is too long for a list.
_FRESH_OF_MANY: Final = (
    "NOT EXISTS (SELECT FROM study_changes c WHERE c.tenant = s.tenant AND c.study_uid = s.study_uid)"
)

# The newest study first, within it by number; the UID makes the order total.
_ORDERS: Final = {
    Level.STUDY: ("s.study_at DESC", "s.study_uid DESC"),
    Level.SERIES: ("s.study_at DESC", "s.study_uid DESC", "e.series_number", "e.series_uid"),
    Level.INSTANCE: (
        "s.study_at DESC",
        "s.study_uid DESC",
        "e.series_number",
        "e.series_uid",
        "i.instance_number",
        "i.sop_instance_uid",
    ),
}

# Of the place of a study in the order of studies.
Key = tuple[str, str]


@dataclass(frozen=True)
class Changed:
    """Studies whose summaries are not of this moment: `live` has theirs, as JSON. `uids` None: too many to name."""

    uids: list[str] | None
    live_studies: str = "[]"
    live_series: str = "[]"


@dataclass(frozen=True)
class Scope:
    """What the path of the resource says."""

    level: Level
    study_uid: str | None = None
    series_uid: str | None = None


class Search:
    """Raises Problem (400) for keys that cannot be."""

    def __init__(self, tenant: str, scope: Scope, query: Query) -> None:
        self._tenant, self._scope = tenant, scope
        self._where = [*_of_path(scope), *_of_match(scope.level, query)]
        if not names_studies(scope, query):
            self._where.append(Condition(f"NOT {UNRECONCILED}"))

    def page(
        self, columns: Sequence[str], changed: Changed, limit: int, offset: int, after: Key | None = None
    ) -> tuple[bytes, list[Any]]:
        """Rows of a page: `columns`, in order."""
        order = ", ".join(_ORDERS[self._scope.level])
        if changed.uids == []:
            kept, values = self._kept(", ".join(columns), changed, after)
            return f"{kept} ORDER BY {order} LIMIT %s OFFSET %s".encode(), [*values, limit, offset]
        # Each half in order and no longer than the page's end: the index is walked as far, and not sorted.
        places = [f"o{number}" for number in range(len(_ORDERS[self._scope.level]))]
        named = [f"{column} AS c{number}" for number, column in enumerate(columns)]
        named += [f"{by.split()[0]} AS {place}" for by, place in zip(_ORDERS[self._scope.level], places, strict=True)]
        halves, values = [], []
        for half in (self._kept, self._live):
            text, of_half = half(", ".join(named), changed, after)
            halves.append(f"({text} ORDER BY {order} LIMIT %s)")
            values += [*of_half, limit + offset]
        both = " UNION ALL ".join(halves)
        shown = ", ".join(f"c{number}" for number in range(len(columns)))
        again = ", ".join(
            place + (" DESC" if by.endswith(" DESC") else "")
            for by, place in zip(_ORDERS[self._scope.level], places, strict=True)
        )
        text = f"SELECT {shown} FROM ({both}) AS both_halves ORDER BY {again} LIMIT %s OFFSET %s"
        return text.encode(), [*values, limit, offset]

    def rest(self, changed: Changed, offset: int, after: Key | None, most: int) -> tuple[bytes, list[Any]]:
        """How many rows there are behind a place, counted up to `most`."""
        text, values = self._kept("1", changed, after)
        if changed.uids != []:
            live, of_live = self._live("1", changed, after)
            text, values = f"{text} UNION ALL {live}", [*values, *of_live]
        return f"SELECT count(*) FROM ({text} LIMIT %s OFFSET %s) AS behind".encode(), [*values, most, offset]

    def _kept(self, selected: str, changed: Changed, after: Key | None) -> tuple[str, list[Any]]:
        fresh = Condition(_FRESH_OF_MANY) if changed.uids is None else Condition(_FRESH, (changed.uids,))
        return self._half(selected, _KEPT, [], [fresh] if changed.uids != [] else [], after)

    def _live(self, selected: str, changed: Changed, after: Key | None) -> tuple[str, list[Any]]:
        return self._half(selected, _LIVE, [changed.live_studies, changed.live_series], [], after)

    def _half(
        self, selected: str, tables: tuple[str, str], values: list[Any], more: list[Condition], after: Key | None
    ) -> tuple[str, list[Any]]:
        source, level = tables[0], self._scope.level
        if level >= Level.SERIES:
            source += f" JOIN {tables[1]} ON {_SERIES_OF}"
        if level >= Level.INSTANCE:
            source += f" JOIN {_INSTANCES}"
        where = [Condition("s.tenant = %s", (self._tenant,)), *more, *self._where]
        if after is not None:
            where.append(Condition('(s.study_at, s.study_uid) < (%s::timestamp, %s::text COLLATE "C")', after))
        return (
            f"SELECT {selected} FROM {source} WHERE {' AND '.join(one.sql for one in where)}",
            [*values[: min(level, 2)], *(value for one in where for value in one.values)],
        )


def names_studies(scope: Scope, query: Query) -> bool:
    """Whether it is asked for studies by UID alone: whoever has that knows which one is meant. Nothing but asterisks
    names nothing, and asks for nothing."""
    asked = [path for path, value in query.match.items() if value.strip("*")]
    is_named = scope.study_uid is not None or ("StudyInstanceUID",) in asked
    return is_named and OF_ELSEWHERE.isdisjoint(path[0] for path in asked)


def _of_path(scope: Scope) -> list[Condition]:
    conditions = []
    if scope.study_uid is not None:
        conditions.append(Condition("s.study_uid = %s", (scope.study_uid,)))
    if scope.series_uid is not None:
        conditions.append(Condition("e.series_uid = %s", (scope.series_uid,)))
    return conditions


def _of_match(level: Level, query: Query) -> list[Condition]:
    matched = {path: value for path, value in query.match.items() if is_matched(path, level)}
    wanted = {path[0]: value for path, value in matched.items() if len(path) == 1}
    conditions = _of_moment(wanted) + _of_items(matched)
    for keyword, value in wanted.items():
        if value.strip("*"):  # Nothing but asterisks matches everything, also what is not there.
            conditions += condition(BY_KEYWORD[keyword], value, fuzzy=query.fuzzy)
    return conditions


def _of_items(matched: Mapping[Path, str]) -> list[Condition]:
    """One item has to match all keys of its sequence (PS3.4 section C.2.2.2.6)."""
    by_sequence: dict[str, dict[str, str]] = {}
    for path, value in matched.items():
        if len(path) == 2 and value.strip("*"):
            by_sequence.setdefault(path[0], {})[path[1]] = value
    return [items(BY_KEYWORD[sequence], keys) for sequence, keys in by_sequence.items()]


def _of_moment(wanted: dict[str, str]) -> list[Condition]:
    """Takes StudyDate out of `wanted`; and StudyTime where both are ranges, or a day and a range of its hours."""
    days, hours = wanted.get("StudyDate", ""), wanted.get("StudyTime", "")
    if not days.strip("*"):
        return []
    del wanted["StudyDate"]
    if "-" in hours:
        del wanted["StudyTime"]
        first, last = moments(days, hours)
        end = "s.study_at <= %s::timestamp"
    else:
        first, last = whole_days(days)
        end = "s.study_at < %s::timestamp"
    conditions = [Condition("s.study_at > '-infinity'")]
    if first is not None:
        conditions.append(Condition("s.study_at >= %s::timestamp", (first,)))
    if last is not None:
        conditions.append(Condition(end, (last,)))
    return conditions
