"""Conditions as they are tried: patterns, and what keywords of the standard stand for (PS3.6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import cache
from typing import Final

from pydicom import uid as uids
from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword
from pydicom.uid import UID

from streams.identity import uid_is_usable
from streams.routes.rules import Match, Patterns
from streams.terms import BODY_PARTS, MODALITIES

_TAG = re.compile(r"\(?([0-9A-Fa-f]{4}),\s?([0-9A-Fa-f]{4})\)?\Z")
# Command set and file meta information.
_OF_THE_HEADER: Final = frozenset((0x0000, 0x0002))
# PS3.5 section 6.2, a code string: what is written in lower case would never fit.
_CODE = re.compile(r"[A-Z0-9 _*?]+\Z")
# What events carry of an image, by the name of the condition: the keyword of its element, and its terms.
_TERMS: Mapping[str, tuple[str, Set[str]]] = {
    "modality": ("Modality", MODALITIES),
    "body_part": ("BodyPartExamined", BODY_PARTS),
}

Pattern = re.Pattern[str]


class Unknown(Exception):
    """A condition names what the standard does not know. The text is for whoever wrote the rule."""


@dataclass(frozen=True)
class Condition:
    """It holds where one of the patterns fits one of the values. `tag` is None for what the event knows."""

    name: str
    patterns: tuple[Pattern, ...]
    tag: int | None = None

    def holds(self, values: tuple[str, ...]) -> bool:
        return any(pattern.match(value) for pattern in self.patterns for value in values)


def conditions(
    match: Match, wrong: Callable[[tuple[str, ...], str], None], *, of_headers: bool = False
) -> tuple[Condition, ...]:
    """`wrong` is told where a condition is (its keys under `match`) and what is wrong with it.

    `of_headers`: they are tried on what headers say, too, which may be no defined term.
    """
    found = []
    for at, patterns in _given(match):
        try:
            found.append(_condition(at, patterns, of_headers=of_headers))
        except Unknown as error:
            wrong(at, str(error))
    return tuple(found)


def _given(match: Match) -> Iterator[tuple[tuple[str, ...], Patterns]]:
    for name in Match.__struct_fields__:
        if name != "tags" and (patterns := getattr(match, name)):
            yield (name,), patterns
    for name, patterns in match.tags.items():
        yield ("tags", name), patterns


def _condition(at: tuple[str, ...], patterns: Patterns, *, of_headers: bool) -> Condition:
    """Raises Unknown."""
    match at:
        case ("sop_class",):
            return Condition(at[0], _uids(patterns, "SOP Class"))
        case ("transfer_syntax",):
            return Condition(at[0], _uids(patterns, "Transfer Syntax"))
        case ("modality" | "body_part" as name,):
            return Condition(name, _codes(patterns) if of_headers else _terms(patterns, *_TERMS[name]))
        case ("tags", name):
            return Condition(f"tags.{name}", globs(patterns), _matchable(name, tag_of(name)))
        case _:
            return Condition(at[0], globs(patterns))


def tag_of(text: str) -> int:
    """The tag of a keyword (PatientID) or of (gggg,eeee). Raises Unknown."""
    if match := _TAG.match(text):
        return int(match[1], 16) << 16 | int(match[2], 16)
    if (known := tag_for_keyword(text)) is None:
        raise Unknown(f"`{text}` is no keyword of PS3.6 and not (gggg,eeee)")
    return int(known)


def _matchable(name: str, tag: int) -> int:
    """The tag. Raises Unknown where no image has a text or number under it: the rule would fit none, or some by chance.

    A sequence of defined length has a text, by pydicom (`values`). One that forbids would forbid nothing.
    """
    vr = dictionary_VR(tag) if dictionary_has_tag(tag) else ""
    what = "a sequence" if vr == "SQ" else "bytes" if vr.startswith("O") else ""
    if tag >> 16 in _OF_THE_HEADER:
        what = "of the file header, which is not kept"
    if what:
        raise Unknown(f"`{name}` is {what}; only texts and numbers of the top level of the data set can be matched on")
    return tag


def uid_of(text: str, kind: str) -> str:
    """The UID of a keyword (CTImageStorage) of that kind, or the UID itself. Raises Unknown."""
    if uid_is_usable(text):
        return text
    known = _keywords(kind).get(text)
    if known is None:
        near = sorted(keyword for keyword in _keywords(kind) if keyword.lower().startswith(text.lower()[:6]))[:4]
        hint = f"; perhaps {', '.join(near)}" if near else ""
        raise Unknown(f"`{text}` is no keyword of a {kind} in PS3.6 and no UID{hint}")
    return known


@cache
def _keywords(kind: str) -> dict[str, str]:
    return {one.keyword: str(one) for one in vars(uids).values() if isinstance(one, UID) and one.type == kind}


def _listed(patterns: Patterns) -> tuple[str, ...]:
    return (patterns,) if isinstance(patterns, str) else patterns


def globs(patterns: Patterns) -> tuple[Pattern, ...]:
    return tuple(_glob(one) for one in _listed(patterns))


def _glob(text: str) -> Pattern:
    """`*` and `?` alone are special, and runs of stars are one: no pattern takes more than a moment."""
    parts = re.split(r"(\*+|\?)", text.strip())
    return re.compile("".join(_wild(part) for part in parts) + r"\Z", re.DOTALL)


def _wild(part: str) -> str:
    if part == "?":
        return "."
    return ".*" if part.startswith("*") else re.escape(part)


def _codes(patterns: Patterns) -> tuple[Pattern, ...]:
    """Raises Unknown."""
    if any(_CODE.match(one) is None for one in _listed(patterns)):
        raise Unknown("codes are upper case letters, digits, spaces and underscores (PS3.5 section 6.2), with * and ?")
    return globs(patterns)


def _terms(patterns: Patterns, keyword: str, terms: Set[str]) -> tuple[Pattern, ...]:
    """Raises Unknown also for a pattern that fits no term: only terms are in events, so no image would ever fit."""
    found = _codes(patterns)
    for text, pattern in zip(_listed(patterns), found, strict=True):
        if not any(map(pattern.match, terms)):
            raise Unknown(
                f"`{text}` is none of the defined terms of {keyword} that events carry, so it would fit no image; in a "
                f"rule that may look at tags, match on tags.{keyword}, which is read out of the image"
            )
    return found


def _uids(patterns: Patterns, kind: str) -> tuple[Pattern, ...]:
    return tuple(re.compile(re.escape(uid_of(one, kind)) + r"\Z") for one in _listed(patterns))
