"""One key of a search as a condition in SQL (PS3.4 section C.2.2.2). Values are parameters, never text of the SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from consumers.catalog.names import folded, folded_name, found_by, sound, words
from consumers.catalog.summaries import date_of, time_of
from gateway.dicomweb.searching_attributes import ITEM_KEYWORDS, Attribute, Kind
from gateway.problem import Problem

_WILD: Final = re.compile(r"[*?]")
_UIDS: Final = re.compile(r"[,\\]")
_UID: Final = re.compile(r"[0-9.]{1,64}\Z")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,12}\Z")
_HOURS: Final = re.compile(r"[0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2}(?:\.[0-9]{1,6})?)?)?\Z")
# Each costs the database; nobody means more.
_WILD_MAX: Final = 16
# What any date and any time is behind and before.
_FIRST_DAY, _LAST_DAY = "00000000", "99999999"
_FIRST_TIME, _LAST_TIME = "000000.000000", "235959.999999"


@dataclass(frozen=True)
class Condition:
    sql: str
    values: tuple[Any, ...] = ()


NOTHING: Final = Condition("false")


def condition(attribute: Attribute, value: str, *, fuzzy: bool = False) -> list[Condition]:
    """All of which must hold; the first ones are for the index. Raises Problem (400) for a value that cannot be."""
    match attribute.kind:
        case Kind.NAME:
            return _name(attribute, value, fuzzy)
        case Kind.UID:
            return [Condition(f"{attribute.sql} = ANY(%s)", (uids(attribute, value),))]
        case Kind.LIST:
            return [_list(attribute, value)]
        case Kind.DATE:
            first, last = days(attribute.keyword, value)
            return [_between(attribute.sql, first, last)]
        case Kind.TIME:
            return [_between(attribute.sql, *times(attribute.keyword, value))]
        case Kind.NUMBER:
            return [Condition(f"{attribute.sql} = %s", (_number(attribute, value),))]
        case Kind.TEXTS:
            return [_texts(attribute, value)]
        case Kind.ITEMS:
            return []  # Its attributes are what is matched.
        case Kind.TEXT:
            return _text(attribute, value)


def _between(sql: str, first: str, last: str) -> Condition:
    return Condition(f'({sql}) COLLATE "C" BETWEEN %s AND %s', (first, last))


# Texts.


def _text(attribute: Attribute, value: str) -> list[Condition]:
    """Case matters in everything but names. A comma in a CS can only stand between two values."""
    values = _values(attribute, value)
    if len(values) > 1:
        return [_any([Condition(*_one(attribute.sql, one)) for one in values])]
    conditions = [Condition(*_one(attribute.sql, value))]
    if attribute.indexed is not None:
        conditions.insert(0, _beginning(attribute.indexed, value))
    if attribute.field is not None:
        conditions[:0] = _by_terms(attribute, [value])
    return conditions


def _values(attribute: Attribute, value: str) -> list[str]:
    parts = re.split(r"[,\\]" if attribute.vr == "CS" else r"\\", value)
    return [part for part in (part.strip(" ") for part in parts) if part]


def _beginning(indexed: str, value: str) -> Condition:
    """Of what begins with a wild card nothing is known, and every value begins with nothing."""
    known = _WILD.split(value, maxsplit=1)[0]
    return (
        Condition(f"{indexed} = %s", (known[:64],))
        if known == value
        else Condition(f"{indexed} LIKE %s", (_escaped(known[:64]) + "%",))
    )


def _one(sql: str, value: str) -> tuple[str, tuple[Any, ...]]:
    if _WILD.search(value):
        return f"{sql} LIKE %s", (_like(value),)
    return f"{sql} = %s", (value,)


def _like(value: str) -> str:
    _check(value)
    return re.sub(r"\*+", "%", _escaped(value).replace("?", "_"))


def _escaped(value: str) -> str:
    return re.sub(r"([%_\\])", r"\\\1", value)


def _check(value: str) -> None:
    if len(re.findall(r"\*+", value)) > _WILD_MAX:
        raise Problem(400, f"A value has more than {_WILD_MAX} wild cards in it.")


def _texts(attribute: Attribute, value: str) -> Condition:
    parts = [_one("one", part) for part in _values(attribute, value)]
    some = " OR ".join(sql for sql, _ in parts) or "false"
    return Condition(
        rf"EXISTS (SELECT FROM unnest(string_to_array({attribute.sql}, '\')) AS one WHERE {some})",
        tuple(value for _, values in parts for value in values),
    )


def items(attribute: Attribute, keys: Mapping[str, str]) -> Condition:
    """An item with all of `keys`, which are values by keyword."""
    count = len(ITEM_KEYWORDS)
    some = [_one(f"said[place + {ITEM_KEYWORDS.index(keyword)}]", value) for keyword, value in keys.items()]
    return Condition(
        rf"EXISTS (SELECT FROM string_to_array({attribute.sql}, '\') AS said, "
        f"generate_series(1, cardinality(said), {count}) AS place WHERE {' AND '.join(sql for sql, _ in some)})",
        tuple(value for _, values in some for value in values),
    )


def _list(attribute: Attribute, value: str) -> Condition:
    if attribute.vr == "UI":
        return Condition(f"{attribute.sql} && %s::text[]", (uids(attribute, value),))
    values = _values(attribute, value)
    if not any(_WILD.search(one) for one in values):
        return Condition(f"{attribute.sql} && %s::text[]", (values,))
    some = [_one("one", one) for one in values]
    return Condition(
        f"EXISTS (SELECT FROM unnest({attribute.sql}) AS one WHERE {' OR '.join(sql for sql, _ in some)})",
        tuple(value for _, values in some for value in values),
    )


def uids(attribute: Attribute, value: str) -> list[str]:
    """Of a list with commas, or backslashes. Raises Problem (400)."""
    found = [part.strip(" ") for part in _UIDS.split(value)]
    if not all(_UID.match(uid) for uid in found):
        raise Problem(400, f"{attribute.keyword} is no UID, nor a list of them with commas between.")
    return found


def _number(attribute: Attribute, value: str) -> int:
    if not _INTEGER.match(value):
        raise Problem(400, f"{attribute.keyword} is no whole number.")
    return int(value)


def _any(conditions: Sequence[Condition]) -> Condition:
    return Condition(
        "(" + " OR ".join(f"({one.sql})" for one in conditions) + ")",
        tuple(value for one in conditions for value in one.values),
    )


def _all(conditions: Sequence[Condition]) -> Condition:
    return Condition(
        "(" + " AND ".join(f"({one.sql})" for one in conditions) + ")",
        tuple(value for one in conditions for value in one.values),
    )


# Names.


def _name(attribute: Attribute, value: str, fuzzy: bool) -> list[Condition]:
    """Any component group matches a key of one; a key of several says which (PS3.5 section 6.2.1)."""
    _check(value)
    groups = [folded(group).strip(" ") for group in value.split("=")]
    if not any(groups):
        return []
    literal = [*(_by_terms(attribute, groups)), _by_groups(attribute.sql, groups)]
    if not fuzzy or attribute.field is None:
        return literal
    codes = sorted({f"{attribute.field}~{sound(word)}" for group in groups for word in words(_WILD.sub(" ", group))})
    return [_any([_all(literal), Condition("s.terms @> %s::text[]", (codes,))])] if codes else literal


def _by_groups(sql: str, groups: Sequence[str]) -> Condition:
    if len(groups) == 1 and not _WILD.search(groups[0]):
        return Condition(f"strpos({sql}, %s) > 0", (folded_name(groups[0]) or "=",))
    while groups and not groups[-1]:
        groups = groups[:-1]
    parts = "=".join(_expression(group) if group else "[^=]*" for group in groups)
    return Condition(f"{sql} ~ %s", (f"{'^' if len(groups) > 1 else ''}={parts}=",))


def _expression(group: str) -> str:
    """A group as a regular expression: a wild card is anything within it."""
    bare = group if group.endswith(("*", "?")) else group.rstrip("^ ")
    parts = re.split(r"(\*+|\?)", bare)
    return "".join(
        "[^=]*" if part.startswith("*") else "[^=]" if part == "?" else re.sub(r"([^\w\s])", r"\\\1", part, flags=re.A)
        for part in parts
    )


def _by_terms(attribute: Attribute, groups: Sequence[str]) -> list[Condition]:
    """What must be among the terms of a row that matches; nothing where the key is too short to tell."""
    known = [] if attribute.field is None else found_by(attribute.field, groups)
    return [Condition("s.terms @> %s::text[]", (known,))] if known else []


# Dates and times.


def days(keyword: str, value: str) -> tuple[str, str]:
    """First and last day, YYYYMMDD, of a date or a range. Raises Problem (400)."""
    first, dash, last = value.partition("-")
    wanted = [date_of(part) if part.strip() else "" for part in (first, last)]
    if None in wanted or not any(wanted) or (dash and "-" in last):
        raise Problem(400, f"{keyword} is neither a date (YYYYMMDD) nor a range of dates.")
    begins, ends = wanted[0] or "", wanted[1] or ""
    return (begins or _FIRST_DAY, ends or _LAST_DAY) if dash else (begins, begins)


def times(keyword: str, value: str) -> tuple[str, str]:
    """First and last instant of a time or a range; 10 is the whole hour. Raises Problem (400)."""
    first, dash, last = value.partition("-")
    wanted = [part.strip() for part in (first, last)]
    if not any(wanted) or not all(not part or (_HOURS.match(part) and time_of(part)) for part in wanted):
        raise Problem(400, f"{keyword} is neither a time (HHMMSS) nor a range of times.")
    begins = time_of(wanted[0]) or _FIRST_TIME if wanted[0] else _FIRST_TIME
    until = wanted[1] if dash else wanted[0]
    return begins, _end_of(until) if until else _LAST_TIME


def _end_of(text: str) -> str:
    """The last instant that a time of this precision means."""
    digits = text.replace(":", "")
    return time_of(digits + _LAST_TIME[len(digits) :]) or _LAST_TIME


def moments(dates: str, hours: str) -> tuple[str | None, str | None]:
    """First and last instant of both ranges as one (PS3.4 section C.2.2.2.5), as PostgreSQL reads them.

    None where the range is open. Raises Problem (400).
    """
    first, last = days("StudyDate", dates)
    begins, ends = times("StudyTime", hours)
    return (
        None if first == _FIRST_DAY else f"{_iso(first)} {_clock(begins)}",
        None if last == _LAST_DAY else f"{_iso(last)} {_clock(ends)}",
    )


def whole_days(dates: str) -> tuple[str | None, str | None]:
    """First day, and the one after the last. Raises Problem (400)."""
    first, last = days("StudyDate", dates)
    return None if first == _FIRST_DAY else _iso(first), None if last == _LAST_DAY else _iso(last, 1)


def _iso(day: str, later: int = 0) -> str:
    try:
        return (date(int(day[:4]), int(day[4:6]), int(day[6:])) + timedelta(later)).isoformat()
    except (ValueError, OverflowError):
        raise Problem(400, "StudyDate is no day of the calendar.") from None


def _clock(at: str) -> str:
    return f"{at[:2]}:{at[2:4]}:{at[4:]}"
