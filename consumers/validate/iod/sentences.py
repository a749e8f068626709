"""Conditions of Types 1C and 2C out of the standard's sentences, as far as a program can tell. For `distil` alone.

A condition is a nested list: `["has", tag]`, `["lacks", tag]`, `["in", tag, nth, values, vr]` (nth counts from 1, 0 is
any value), `["other", tag, nth, values, vr]` (it has a value, and none of these), `["over", tag, number, vr]`,
`["class", uids]` (the SOP class is one of these), `["inside", tag, condition]` (it holds within an item of that
sequence), `["grouped", tag]` (some functional group has it), `["not", ...]`, `["and", ...]`, `["or", ...]`. What cannot
be read in full is None: not checked.
"""

from __future__ import annotations

import re
from typing import Any

Condition = list[Any]

_TAG = r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)"
_NAMED = re.compile(r"^(?:if |either |both |the |an? |any |values? of )*[A-Z][\w\-/ '’&()]*? ?" + _TAG + r"[ ,]*")
_NTH = re.compile(r"^,?\s*(?:\(?[Vv]alue (\d)\)?)[ ,]*(?:of this frame )?")
_FIRST = re.compile(r"^(?:the )?[Vv]alue (\d) of (?:the )?")
_JOIN = re.compile(
    r"(?:,? (and|or) |(,) )(?=(?:if |either |the |an? |any |values? of )*[A-Z](?:(?! and | or )[\w\-/ '’&()])*? "
    r"\([0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\))"
)
_SENTENCE = re.compile(
    r"(?:Required|Shall be present|shall be present|required)[ ,]+(?:only )?(?:if|when) "
    r"(.*?)(?=\. |\.$|$| Shall not | May be | Note )"
)
_CLASS = r"[“\"]([\d.]+)[”\"](?: \([^)]*\))?"
_OTHERWISE = re.compile(r"[,;]? *(?:and )?(?:[Mm]ay|shall not) be present (?:otherwise|only).*$")
_VALUE = r"[\"“']?[A-Z0-9][A-Z0-9_\-/.]*(?: [A-Z0-9_]+)*[\"”']?"
_VALUES = re.compile(rf"^(?:either )?({_VALUE}(?:,? or {_VALUE}|, {_VALUE})*)$")
_VERB = re.compile(
    r"^(?:the )?(?:value )?(?:is present with a value of|is set to|is equal to|is|equals?|"
    r"has (?:a|the) value(?: of)?|a value of|does) "
)
_NUMBERS = ("US", "SS", "UL", "SL", "IS")


def condition(text: str, vr_of: dict[int, str]) -> Condition | None:
    """What a description asks for; None where it asks for nothing that can be computed. `vr_of` knows every tag."""
    found = [_sentence(part, vr_of) for part in _SENTENCE.findall(text)]
    computed = [part for part in found if part is not None]
    if not computed:
        return None
    return computed[0] if len(computed) == 1 else ["or", *computed]


def _sentence(text: str, vr_of: dict[int, str]) -> Condition | None:
    text = _OTHERWISE.sub("", text).strip(" .;,").replace("  ", " ")
    if alone := re.fullmatch(rf"SOP Class UID is not {_CLASS}", text):
        return ["not", ["class", [alone[1]]]]
    unless = re.findall(rf" and SOP Class UID is not {_CLASS}", text)
    text = re.sub(rf" and SOP Class UID is not {_CLASS}", "", text)
    parts = _JOIN.split(text)
    joins = set(parts[1::3]) - {None}
    if len(joins) > 1 or (not joins and len(parts) > 1):
        return None
    found = _parts(parts[0::3], vr_of)
    if found is None:
        return None
    joined: Condition = found[0] if len(found) == 1 else [joins.pop(), *found]
    return ["and", joined, ["not", ["class", unless]]] if unless else joined


def _parts(parts: list[str], vr_of: dict[int, str]) -> list[Condition] | None:
    """The last part has the verb; earlier ones may share it ('A and B are not present')."""
    found: list[Condition] = []
    said = ""
    for part in reversed(parts):
        first = _FIRST.match(part.strip())
        part = part.strip()[first.end() :] if first else part.strip()
        named = _NAMED.match(part)
        if named is None:
            return None
        tag = int(named[1] + named[2], 16)
        if tag not in vr_of:
            return None
        rest = part[named.end() :].strip(" ,")
        said = rest or said
        if first:
            said = f"Value {first[1]} {said}"
        one = _atom(tag, said, vr_of)
        if one is None:
            return None
        found.insert(0, one)
    return found


def _atom(tag: int, said: str, vr_of: dict[int, str]) -> Condition | None:
    nth = 0
    said = re.sub(r"^(?:at the image level|of this frame|in this Sequence Item) ", "", said)
    if match := _NTH.match(said):
        nth, said = int(match[1]), said[match.end() :].strip()
    if match := re.fullmatch(r"is absent or not ([A-Z_]+)", said):
        return ["not", ["in", tag, nth, [match[1]], vr_of[tag]]]
    if re.fullmatch(r"(?:is|are) (?:not present|absent)(?: in this Sequence Item)?", said):
        return ["lacks", tag]
    if re.fullmatch(r"(?:is|are) present(?: and has a value)?", said):
        return ["has", tag]
    said = re.sub(r"^is present(?:,)? (?:and|with) ", "", said)
    if re.fullmatch(r"(?:is|has a) non-zero(?: value)?", said):
        return ["over", tag, 0, vr_of[tag]] if vr_of.get(tag) in _NUMBERS else None
    if match := re.fullmatch(r"(?:is|has a value) greater than (\d+|one)", said):
        number = 1 if match[1] == "one" else int(match[1])
        return ["over", tag, number, vr_of[tag]] if vr_of.get(tag) in _NUMBERS else None
    return _of_values(tag, nth, said, vr_of)


def _of_values(tag: int, nth: int, said: str, vr_of: dict[int, str]) -> Condition | None:
    verb = _VERB.match(said)
    if verb is None or vr_of.get(tag) in (None, "SQ"):
        return None
    said = said[verb.end() :]
    other = re.match(r"^(?:not equal to|other than|not equal|not) ", said)
    values = _VALUES.match(said[other.end() :] if other else said)
    if values is None:
        return None
    listed = [one.strip(" \"“”'") for one in re.split(r",? or |, ", values[1])]
    if vr_of[tag] in _NUMBERS and not all(one.isdecimal() for one in listed):
        return None
    return ["other" if other else "in", tag, nth, listed, vr_of[tag]]
