"""Reads what the standard's tables of 2020 say beside attributes: names, sections, usages, sentences. For `distil`."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom.datadict import tag_for_keyword

from consumers.validate.iod.sentences import Condition, condition

_SINGLE = re.compile(
    r"(?:Only a single|Only one|Zero or one) Item (?:shall be|is|may be) (?:included|present|permitted)"
)
VRS = {tag: entry[0].split(" ")[0] for tag, entry in DicomDictionary.items()}
# Of repeating groups the first, 60xx for all: the reader asks for each group that is there.
_REPEATERS = {entry[4]: int(mask.replace("x", "0"), 16) for mask, entry in RepeatersDictionary.items()}
# Second sections on a chapter's page, and one without a first.
_SECTIONS = {
    "patient": "C.7.1.1",
    "clinical-trial-subject": "C.7.1.3",
    "cr-series": "C.8.1.1",
    "cr-image": "C.8.1.2",
    "palette-color-lookup-table": "C.7.9",
}


def tag_of(keyword: str) -> int | None:
    return tag_for_keyword(keyword) or _REPEATERS.get(keyword)


def _text(html: str) -> str:
    html = re.sub(r"<h3>Note.*?</div>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html).replace("\xa0", " ")).strip()


class Sentences:
    """What descriptions say of a place: by module and path, else by parent and attribute where all agree."""

    def __init__(self, folder: Path) -> None:
        self._by_path: dict[tuple[str, tuple[int, ...]], set[str]] = defaultdict(set)
        self._by_pair: dict[tuple[int, ...], set[str]] = defaultdict(set)
        self._single: dict[tuple[int, ...], set[bool]] = defaultdict(set)
        for name, key in (("module_to_attributes", "moduleId"), ("macro_to_attributes", "macroId")):
            for row in json.loads((folder / f"{name}.json").read_text("utf-8")):
                _, *path = row["path"].split(":")
                tags = tuple(int(tag.replace("x", "0"), 16) for tag in path)
                self._single[tags[-2:]].add(bool(_SINGLE.search(_text(row["description"]))))
                if row["type"] not in ("1C", "2C"):
                    continue
                self._by_path[row[key], tags].add(_text(row["description"]))
                self._by_pair[tags[-2:]].add(_text(row["description"]))

    def is_single(self, path: tuple[int, ...]) -> bool:
        """Whether a sequence has one item at most, wherever it stands in such a one."""
        return self._single.get(path[-2:]) == {True}

    def condition(self, module: str, path: tuple[int, ...]) -> Condition | None:
        for texts in (self._by_path.get((module, path)), self._by_pair.get(path[-2:]) if len(path) > 1 else None):
            read = [condition(text, VRS) for text in texts or ()]
            if read:
                return read[0] if all(one == read[0] for one in read) else None
        return None


def names_in(folder: Path) -> dict[str, tuple[str, str]]:
    """Name and section of each module and macro."""
    found = {}
    for name in ("macros", "modules"):
        for row in json.loads((folder / f"{name}.json").read_text("utf-8")):
            page = re.search(r"sect_([A-F0-9.]+)\.html", row["linkToStandard"])
            found[row["id"]] = (row["name"], _section(row["id"], page[1] if page else ""))
    return found


def _section(module: str, page: str) -> str:
    """The first section of a chapter stands on the chapter's own page."""
    if module in _SECTIONS:
        return _SECTIONS[module]
    first = page.count(".") == 1 or (page.startswith(("C.7.", "C.8.")) and page.count(".") == 2)
    return f"{page}.1" if first else page


def macros_in(folder: Path) -> tuple[dict[str, dict[int, Used]], dict[int, str]]:
    """Of each IOD of 2020 how it uses each functional group's sequence; and a macro that has it, for later IODs."""
    sequences = {
        row["macroId"]: int(row["path"].split(":")[1], 16)
        for row in json.loads((folder / "macro_to_attributes.json").read_text("utf-8"))
        if row["path"].count(":") == 1
    }
    usage: dict[str, dict[int, Used]] = defaultdict(dict)
    named: dict[int, str] = {}
    for row in json.loads((folder / "ciod_to_fg_macros.json").read_text("utf-8")):
        tag = sequences.get(row["macroId"])
        if tag is not None:
            usage[row["ciodId"]][tag] = Used(row["macroId"], row["usage"], row["conditionalStatement"])
            named.setdefault(tag, row["macroId"])
    return usage, named


class Used(NamedTuple):
    """A functional group macro in an IOD."""

    macro: str
    usage: str
    statement: str | None


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
