"""The query of a search, taken apart (PS3.18 section 8.3.4): what is matched, what is returned, and which page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from pydicom.datadict import dictionary_has_tag, keyword_for_tag, tag_for_keyword

from gateway.dicomweb.searching_attributes import ATTRIBUTES, BY_KEYWORD, ITEM_KEYWORDS, Kind, Level
from gateway.problem import Problem

_PARAMETERS_MAX: Final = 128
_VALUE_CHARACTERS_MAX: Final = 1024
_NUMBER: Final = re.compile(r"[0-9]{1,10}\Z")
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}\Z")
_KEYWORD: Final = re.compile(r"[A-Z][A-Za-z0-9]{1,63}\Z")
_DEPTH_MAX: Final = 4
_UNSUPPORTED: Final = ("emptyvaluematching", "multiplevaluematching")
_SINGLE: Final = frozenset({"fuzzymatching", "limit", "offset", "accept", *_UNSUPPORTED})
# Not of a search, and answered elsewhere or not at all.
_OF_TRANSPORT: Final = frozenset({"accept", "charset"})

Path = tuple[str, ...]
"""Keywords, from the outer sequence to the attribute; a tag without a keyword stays as eight digits."""


@dataclass(frozen=True)
class Query:
    """`match` has no empty values: they match everything, and their attributes are in `include`.

    `everything`: all that there is, is returned. `unsupported` are kinds of matching that are asked for and not had
    here, `ignored` parameters that mean nothing here.
    """

    match: Mapping[Path, str] = field(default_factory=dict)
    include: frozenset[Path] = frozenset()
    everything: bool = False
    fuzzy: bool = False
    limit: int | None = None
    offset: int = 0
    unsupported: frozenset[str] = frozenset()
    ignored: tuple[str, ...] = ()


def parsed(query: bytes) -> Query:
    """Raises Problem (400)."""
    match: dict[Path, str] = {}
    single: dict[str, str] = {}
    include: set[Path] = set()
    everything = False
    ignored: list[str] = []
    for name, value in _pairs(query):
        if name == "includefield":
            names = [part for part in (part.strip() for part in value.split(",")) if part]
            everything |= "all" in names
            include.update(path for part in names if part != "all" and (path := path_of(part)) is not None)
        elif name in _SINGLE:
            if single.setdefault(name, value) != value:
                raise Problem(400, f"The parameter {name} is there twice.")
        elif (path := path_of(name)) is None:
            if name and name not in _OF_TRANSPORT:
                ignored.append(name)
        elif path in match:
            raise Problem(400, f"The attribute {'.'.join(path)} is there twice.")
        else:
            match[path] = value.strip(" ")
    return Query(
        match={path: value for path, value in match.items() if value},
        include=frozenset(include | match.keys()),
        everything=everything,
        fuzzy=_boolean("fuzzymatching", single.get("fuzzymatching", "false")),
        limit=_whole("limit", single["limit"]) if "limit" in single else None,
        offset=_whole("offset", single.get("offset", "0")),
        unsupported=frozenset(name for name in _UNSUPPORTED if _boolean(name, single.get(name, "false"))),
        ignored=tuple(ignored),
    )


def _pairs(query: bytes) -> Iterator[tuple[str, str]]:
    try:
        pairs = parse_qsl(query.decode("ascii"), True, errors="strict", max_num_fields=_PARAMETERS_MAX)
    except UnicodeDecodeError:
        raise Problem(400, "The query is not percent-encoded UTF-8.") from None
    except ValueError:
        raise Problem(400, f"The query has more than {_PARAMETERS_MAX} parameters.") from None
    for name, value in pairs:
        if len(value) > _VALUE_CHARACTERS_MAX and name != "includefield" and "," not in value:
            raise Problem(400, f"A value of the query is longer than {_VALUE_CHARACTERS_MAX} characters.")
        if any(char < " " or char == "\x7f" for char in name + value):
            raise Problem(400, "The query has control characters in it.")
        yield name, value


def path_of(name: str) -> Path | None:
    """None for what is neither tag nor keyword of an attribute, nor several with dots between."""
    parts = name.split(".")
    if len(parts) > _DEPTH_MAX:
        return None
    keywords = [_keyword(part) for part in parts]
    return None if None in keywords else tuple(keyword for keyword in keywords if keyword is not None)


def _keyword(part: str) -> str | None:
    if _TAG.match(part):
        number = int(part, 16)
        return (keyword_for_tag(number) if dictionary_has_tag(number) else "") or part.upper()
    return part if _KEYWORD.match(part) and tag_for_keyword(part) is not None else None


def _whole(name: str, text: str) -> int:
    if not _NUMBER.match(text):
        raise Problem(400, f"The parameter {name} is not a whole number.")
    return int(text)


def _boolean(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise Problem(400, f"The parameter {name} is neither true nor false.")
    return text == "true"


def returned(query: Query, level: Level, lowest: Level) -> frozenset[str]:
    """Keywords of the attributes that a result shows: of its own level, down from `lowest`, and what is asked for.

    Of a sequence all that is known is shown, also where one attribute of it is asked for.
    """
    asked = {path[0] for path in query.include}
    return frozenset(
        attribute.keyword
        for attribute in ATTRIBUTES
        if attribute.level <= level
        and ((attribute.level >= lowest and (attribute.always or query.everything)) or attribute.keyword in asked)
    )


def unsupported(query: Query, level: Level) -> list[str]:
    """Attributes that cannot be matched at this level; those that are asked for and unknown are simply not there."""
    return [".".join(path) for path in query.match if not is_matched(path, level)]


def is_matched(path: Path, level: Level) -> bool:
    attribute = BY_KEYWORD.get(path[0])
    if attribute is None or attribute.level > level:
        return False
    if attribute.kind is Kind.ITEMS:
        return len(path) == 2 and path[1] in ITEM_KEYWORDS
    return len(path) == 1
