"""The check: a file against what its SOP class wants (PS3.3 annexes A and C).

A module of usage M is asked for. One of usage C or U is where its condition holds, or where the file has an attribute
that no other module of the IOD has. Conditions that no program can compute are counted and not asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from consumers.validate.iod.asking import EVERYWHERE, PER_FRAME, SHARED, Asking, Scope
from consumers.validate.iod.groups import Groups
from consumers.validate.iod.places import Named, Path, Places
from consumers.validate.iod.tables import Iod, Level, Macro, Module, Row, iod, level
from streams.elements import Limits, Malformed, TooComplex
from streams.events import Finding
from streams.nested import Held, Item, Nested
from streams.part10 import Part10

SOP_CLASS, MEDIA_STORAGE_CLASS = 0x00080016, 0x00020002
OVERLAY, _OVERLAY_ROWS = 0x6000, 0x60000010
# PS3.10 table 7.1-1, Type 1.
_FILE_META = (0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012)
# Group length and version are bytes, which may look like no text.
_BINARY_META = (0x00020000, 0x00020001)
_FILE = ("File Meta Information", "PS3.10 7.1", "File")
_OF_IOD = ("", "PS3.3 A", "Image")
_GROUPS = ("Multi-frame Functional Groups", "PS3.3 C.7.6.16", "Image")
# Frames that tile a whole in order need no group each: these macros follow from their place (PS3.3 section C.7.6.17.3).
_TILED_FULL = ["in", 0x00209311, 0, ["TILED_FULL"], "CS"]
_FRAME_CONTENT = 0x00209111
# What others than the standard ask for is said, and is no fault (docs/decisions/0075).
_ASKED_BY_OTHERS = {"type_1_missing": "type_1_asked_by_others", "type_2_missing": "type_2_asked_by_others"}
_SEGMENT, _PLACE_ON_SLIDE, _PLACE, _ORIENTATION = 0x0062000A, 0x0048021A, 0x00209113, 0x00209116
_IMPLIED = frozenset({_PLACE, _PLACE_ON_SLIDE, 0x00480207, _SEGMENT})
# Of segments in such frames, others ask for these all the same.
_OF_SEGMENTS = frozenset({_PLACE, _ORIENTATION, _PLACE_ON_SLIDE, _SEGMENT})
# Of items in items, of elements in sequences, and of attributes that are not there, each of which is asked for: more of
# a file is not looked into, which is said. Ten thousand frames are below it.
_DEPTH_MAX, _ELEMENTS_MAX, _ABSENT_MAX = 64, 200_000, 150_000


@dataclass
class Checked:
    """What was found in one file. Conditions are counted where an attribute of Type 1C or 2C is not there."""

    iod: str | None
    findings: list[Finding] = field(default_factory=list)
    computed: int = 0
    not_computed: int = 0


class Check:
    """One file's check."""

    def __init__(self, file: Part10) -> None:
        self._file = file
        uid = file.text(SOP_CLASS) or file.meta.get(MEDIA_STORAGE_CLASS, "")
        self._iod = iod(uid)
        self._nested = Nested(file, Limits(elements=_ELEMENTS_MAX, depth=_DEPTH_MAX))
        self._places = Places()
        self._checked = Checked(self._iod.name if self._iod else None)
        self._shift = 0
        self._is_of_others = False
        self._absent_left = _ABSENT_MAX
        self._top = self._nested.top_level(file.elements)
        self._asking = Asking(file, uid, self._nested, self._top)

    def run(self) -> Checked:
        self._meta()
        if self._iod is not None:
            scopes: tuple[Scope, ...] = ((self._top, EVERYWHERE),)
            for module in self._iod.modules:
                if module.repeats:
                    self._overlays(module, scopes)
                elif self._asked(module, scopes):
                    self._module(module, self._top, scopes)
                elif module.usage == "O":
                    self._module_of_others(module, self._top, scopes)
            self._attributes_of_others(self._iod, scopes)
            if self._iod.macros and (SHARED in self._top or PER_FRAME in self._top):
                self._frames(self._iod, scopes)
        self._checked.findings.extend(self._places.findings())
        return self._checked

    def _meta(self) -> None:
        for tag in _FILE_META:
            if tag not in self._file.meta:
                self._say("type_1_missing", tag, (), _FILE)
            elif not self._file.meta[tag] and tag not in _BINARY_META:
                self._say("type_1_empty", tag, (), _FILE)

    def _asked(self, module: Module, scopes: Sequence[Scope]) -> bool:
        if module.usage == "M" or (module.usage != "N" and not module.own.isdisjoint(self._top)):
            return True
        return module.condition is not None and self._asking.holds(module.condition, scopes)

    def _module(self, module: Module, item: Item, scopes: Sequence[Scope]) -> None:
        self._level(level(module.level), item, (), _named(module), scopes)

    def _module_of_others(self, module: Module, item: Item, scopes: Sequence[Scope]) -> None:
        """A module that is not asked for by the standard, and that others ask for."""
        self._is_of_others = True
        self._module(module, item, scopes)
        self._is_of_others = False

    def _attributes_of_others(self, wanted: Iod, scopes: Sequence[Scope]) -> None:
        """Attributes of the top level that the standard leaves to the maker, and that others ask for."""
        for tag in wanted.of_others:
            if tag not in self._top:
                self._say("type_1_asked_by_others", tag, (), _OF_IOD)
            elif self._top[tag].empty:
                self._say("type_1_asked_by_others_empty", tag, (), _OF_IOD)
        has_segments = any(macro.sequence == _SEGMENT for macro in wanted.macros)
        if has_segments and PER_FRAME not in self._top and self._asking.holds(_TILED_FULL, scopes):
            self._say("type_1_asked_by_others", PER_FRAME, (), _GROUPS)

    def _overlays(self, module: Module, scopes: Sequence[Scope]) -> None:
        """Asks each overlay that is there, in group 6000 to 601E, as the tables do of the first."""
        groups = {tag >> 16 for tag in self._top if OVERLAY <= tag >> 16 <= OVERLAY + 0x1E}
        found = set()
        for group in sorted(groups):
            item = {OVERLAY << 16 | tag & 0xFFFF: held for tag, held in self._top.items() if tag >> 16 == group}
            if not module.own.isdisjoint(item):
                found.add(group)
                self._shift = group - OVERLAY << 16
                self._module(module, item, scopes)
        self._shift = 0
        if found and OVERLAY not in found and _OVERLAY_ROWS in module.own:
            # The standard lets any group be without the ones before it; others look into the first.
            self._module_of_others(module, {}, scopes)

    def _level(self, wanted: Level, item: Item, path: Path, named: Named, scopes: Sequence[Scope]) -> None:
        overruled = self._iod.overruled if self._iod and not path else EVERYWHERE
        for row in wanted.rows:
            held = item.get(row.tag)
            if row.tag in overruled:
                continue
            if held is None:
                self._absent(row, path, named, scopes)
                continue
            if row.forbidden is not None and self._asking.holds(row.forbidden, scopes):
                self._say("present_otherwise", row.tag, path, named)
            if row.items >= 0 and not held.empty:
                self._inside(row, held, path, named, scopes)
            elif held.empty and row.type in ("1", "1C") and self._may_hold(row, scopes):
                self._say(f"type_{row.type.lower()}_empty", row.tag, path, named)

    def _absent(self, row: Row, path: Path, named: Named, scopes: Sequence[Scope]) -> None:
        self._absent_left -= 1
        if row.type in ("1", "2"):
            self._say(f"type_{row.type}_missing", row.tag, path, named)
        elif row.type != "3" and row.condition is None:
            self._checked.not_computed += 1
        elif row.condition is not None:
            self._checked.computed += 1
            if self._asking.holds(row.condition, scopes):
                self._say(f"type_{row.type.lower()}_missing", row.tag, path, named)

    def _may_hold(self, row: Row, scopes: Sequence[Scope]) -> bool:
        return row.condition is None or self._asking.holds(row.condition, scopes)

    def _inside(self, row: Row, held: Held, path: Path, named: Named, scopes: Sequence[Scope]) -> None:
        items = self._items(row.tag, held, path, named)
        if row.is_single and len(items) > 1:
            self._say("items_too_many", row.tag, path, named)
        wanted = level(row.items)
        for number, item in enumerate(items, 1):
            if self._absent_left < 0 or len(path) >= 2 * _DEPTH_MAX:
                self._say("nested_not_checked", row.tag, path, named)
                return
            self._level(wanted, item, (*path, row.tag, number), named, (*scopes, (item, wanted.tags)))

    def _items(self, tag: int, held: Held, path: Path, named: Named) -> list[Item]:
        """What is in a sequence that has something; nothing, and a finding that says so, where it cannot be read."""
        try:
            return self._nested.items(held)
        except (Malformed, TooComplex):
            self._say("nested_not_checked", tag, path, named)
            return []

    # Functional groups (PS3.3 section C.7.6.16)

    def _frames(self, wanted: Iod, scopes: tuple[Scope, ...]) -> None:
        shared, frames = self._group(SHARED), self._group(PER_FRAME)
        if shared is None or frames is None:
            return
        groups = Groups(self._nested, shared[0] if shared else {}, frames, scopes)
        tiled = self._asking.holds(_TILED_FULL, scopes)
        for macro in wanted.macros:
            if frames or not (macro.sequence == _FRAME_CONTENT or (tiled and macro.sequence in _IMPLIED)):
                self._macro(macro, groups)
        by_sequence = {macro.sequence: macro for macro in wanted.macros}
        if tiled and not frames and _SEGMENT in by_sequence:
            for tag in sorted(_OF_SEGMENTS - groups.shared.keys()):
                self._say("type_1_asked_by_others", tag, (PER_FRAME, 1), _named(by_sequence[tag]))
        for number, frame in enumerate(frames, 1):
            inner = groups.scopes(number)
            for macro in (by_sequence[tag] for tag in frame if tag in by_sequence):
                self._in_group(macro, frame[macro.sequence], (PER_FRAME, number), inner)

    def _group(self, tag: int) -> list[Item] | None:
        """The items of one of the two sequences of groups; None where they cannot be read."""
        held = self._top.get(tag)
        if held is None or held.empty:
            return []
        return self._items(tag, held, (), _GROUPS) or None

    def _macro(self, macro: Macro, groups: Groups) -> None:
        """Whether a macro is where it has to be, and what the shared one has."""
        with_it = groups.frames_with.get(macro.sequence, [])
        if macro.sequence in groups.shared:
            if with_it:
                self._say("macro_twice", macro.sequence, (PER_FRAME, with_it[0]), _named(macro))
            self._in_group(macro, groups.shared[macro.sequence], (SHARED, 1), groups.scopes(1))
        elif len(with_it) < max(1, len(groups.frames)) and self._macro_asked(macro, groups):
            without = next((place for place, number in enumerate(with_it, 1) if place != number), len(with_it) + 1)
            rule = "frame_without_macro" if with_it else "type_1_missing"
            self._say(rule, macro.sequence, (PER_FRAME, without), _named(macro))

    def _macro_asked(self, macro: Macro, groups: Groups) -> bool:
        if macro.usage == "M" or macro.condition is None:
            return macro.usage == "M"
        return self._asking.holds(macro.condition, groups.scopes(1))

    def _in_group(self, macro: Macro, held: Held, path: Path, scopes: Sequence[Scope]) -> None:
        if not held.empty:
            self._inside(macro.row, held, path, _named(macro), scopes)
        elif macro.row.type in ("1", "1C"):
            self._say("type_1_empty", macro.sequence, path, _named(macro))

    def _say(self, rule: str, tag: int, path: Path, named: Named) -> None:
        if self._is_of_others and rule not in _ASKED_BY_OTHERS:
            return
        said = _ASKED_BY_OTHERS[rule] if self._is_of_others else rule
        self._places.say(said, tag + self._shift, path, named)


def check(file: Part10) -> Checked:
    """Never raises on what a file says."""
    return Check(file).run()


def knows(sop_class_uid: str) -> bool:
    """Whether the tables have this SOP class."""
    return iod(sop_class_uid) is not None


def _named(part: Macro | Module) -> Named:
    entity = part.entity if isinstance(part, Module) else "Image"
    return part.title, f"PS3.3 {part.section}".strip(), entity
