"""Rows as the DICOM JSON model (PS3.18 annex F), in UTF-8."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from gateway.dicomweb.searching_attributes import ATTRIBUTES, IDENTITY, ITEM_KEYWORDS, Attribute, Kind, Level
from gateway.dicomweb.searching_sql import OF_ELSEWHERE, UNRECONCILED

Element = dict[str, Any]
Result = dict[str, Element]

_CHARACTER_SET: Final = "00080005"
_RETRIEVE_URL: Final = "00081190"
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_ITEM_TAGS: Final = {"ScheduledProcedureStepID": "00400009", "RequestedProcedureID": "00401001"}
_SAID: Final = {Level.STUDY: "s.attributes", Level.SERIES: "e.attributes"}


def columns(level: Level, keywords: Collection[str], *, named: bool) -> list[str]:
    """What has to be selected for results with these attributes. `named`: of studies that were asked for by UID, of
    which one may be a study that no other search finds."""
    wanted = ["s.study_uid", "s.attributes"]
    if level >= Level.SERIES:
        wanted += ["e.series_uid", "e.attributes"]
    if level >= Level.INSTANCE:
        wanted.append("i.sop_instance_uid")
    if named and not OF_ELSEWHERE.isdisjoint(keywords):
        wanted.append(UNRECONCILED)
    more = (attribute.column for attribute in ATTRIBUTES if attribute.keyword in keywords and attribute.column)
    return list(dict.fromkeys([*wanted, *more]))


def result(row: Mapping[str, Any], level: Level, keywords: Collection[str], root: str) -> Result:
    """One result; `row` is by column, `root` the address of the service. Attributes are in the order of their tags."""
    shown: Result = {_CHARACTER_SET: {"vr": "CS", "Value": ["ISO_IR 192"]}}
    for attribute in _SHOWN[level]:
        if attribute.keyword in keywords or attribute.keyword in IDENTITY:
            element = _element(attribute, row)
            # What is worked out and has nothing in it says nothing; and OHIF 3.12 ends at modalities without a value.
            if "Value" in element or attribute.kind is not Kind.LIST:
                shown[attribute.tag] = element
    shown[_RETRIEVE_URL] = {"vr": "UR", "Value": [_address(row, level, root)]}
    return dict(sorted(shown.items()))


_SHOWN: Final = {level: [one for one in ATTRIBUTES if one.level <= level] for level in Level}


def _address(row: Mapping[str, Any], level: Level, root: str) -> str:
    path = [root, "studies", row["s.study_uid"]]
    if level >= Level.SERIES:
        path += ["series", row["e.series_uid"]]
    if level >= Level.INSTANCE:
        path += ["instances", row["i.sop_instance_uid"]]
    return "/".join(path)


def _element(attribute: Attribute, row: Mapping[str, Any]) -> Element:
    """Without a value where the catalog knows none: the attribute is one that has to be there."""
    values = _values(attribute, row)
    return {"vr": attribute.vr, "Value": values} if values else {"vr": attribute.vr}


def _values(attribute: Attribute, row: Mapping[str, Any]) -> list[Any]:
    if attribute.keyword in OF_ELSEWHERE and row.get(UNRECONCILED):
        return []
    if attribute.column is not None:
        value = row[attribute.column]
        return [] if value is None or value == "" else value if isinstance(value, list) else [value]
    said: Mapping[str, str] = row[_SAID[attribute.level]]
    text = said.get(attribute.keyword, "")
    if attribute.kind is Kind.DATE:
        text = said.get(f"~{attribute.keyword}", "")
    if not text:
        return []
    if attribute.kind is Kind.ITEMS:
        return _items(text.split("\\"))
    if attribute.vr == "PN":
        return [person_name(one) for one in text.split("\\")]
    return text.split("\\") if attribute.kind is Kind.TEXTS else [text]


def _items(texts: Sequence[str]) -> list[Result]:
    """So many values an item; one that it has not is not in it."""
    count = len(ITEM_KEYWORDS)
    return [
        {
            _ITEM_TAGS[keyword]: {"vr": "SH", "Value": [text]}
            for keyword, text in zip(ITEM_KEYWORDS, texts[at : at + count], strict=False)
            if text
        }
        for at in range(0, len(texts), count)
    ]


def person_name(text: str) -> dict[str, str]:
    """Component groups by name (PS3.18 section F.2.2)."""
    return {name: group for name, group in zip(_GROUPS, text.split("="), strict=False) if group}
