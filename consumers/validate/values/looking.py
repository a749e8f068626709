"""One file's elements, one after another, and what is wrong with their values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from consumers.validate.rule import Broken
from consumers.validate.values import enumerated, texts
from consumers.validate.values.charsets import repertoire_of
from consumers.validate.values.dictionary import expected, is_sequence
from consumers.validate.values.enumerated import Values
from consumers.validate.values.texts import Text
from consumers.validate.values.walking import Scope, TooMany, Walking
from streams.elements import PIXEL_DATA_TAGS
from streams.part10 import Part10

CHARACTER_SET, SOP_CLASS = 0x00080005, 0x00080016
# Of one element's texts, of all of them, and of those whose enumerated values are looked up: more is not looked at.
TEXT_BYTES_MAX, TEXTS_BYTES_MAX, ENUMERATED_BYTES_MAX = 64 << 10, 8 << 20, 1 << 10
# Distinct places of one file: what would be said beyond is the same again.
BROKEN_MAX = 200
SIZES = {"AT": 4, "FL": 4, "FD": 8, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2, "SL": 4, "SS": 2} | {
    "SV": 8,
    "UL": 4,
    "US": 2,
    "UV": 8,
}
_SEVERAL = frozenset(("AT", "FL", "FD", "SL", "SS", "SV", "UL", "US", "UV"))
_NUMBERS = {"US": False, "UL": False, "SS": True, "SL": True}
# PS3.5 section 7.8: odd groups that are nobody's.
_ILLEGAL_GROUPS = frozenset((1, 3, 5, 7, 0xFFFF))
_UIDS_OF_HEADER = (0x00020002, 0x00020003, 0x00020010, 0x00020012)
# The step says these of the UIDs that an instance is known by.
_SAID_ELSEWHERE = frozenset((0x00080016, 0x00080018, 0x0020000D, 0x0020000E))


class _Enough(Exception):
    """There is so much wrong that more of it says nothing."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is looked at in an element of one tag and VR. `size` is of one binary number, in bytes; 0 for none."""

    broken: str | None
    size: int
    text: Text | None
    one_value: bool
    allows_one: bool
    fixed: int
    is_signed: bool | None
    values: Values | None
    in_places: tuple[frozenset[str], ...]


@lru_cache(maxsize=16_384)
def _plan(tag: int, vr: str) -> _Plan:
    known = expected(tag)
    broken = None
    if known is None:
        if not tag >> 16 & 1 and tag & 0xFFFF and vr not in ("", "UN") and tag not in PIXEL_DATA_TAGS:
            broken = "element_unknown"
    elif vr in ("", "UN"):
        # PS3.5 section 6.2.2: the value of what is known after all is as in implicit VR.
        vr = known.vrs[0] if known.vrs[0] in _KNOWN_FIRST or len(known.vrs) == 1 else ""
    elif vr not in known.vrs and vr not in _ALSO.get(tag, ()):
        broken = "vr_differs"
    text = texts.text_of(vr) if vr in texts.VRS else None
    one_value = vr in texts.ONE_VALUE or not (text or vr in _SEVERAL)
    return _Plan(
        broken=broken,
        size=SIZES.get(vr, 0),
        text=text,
        one_value=one_value,
        allows_one=known is None or known.allows(1),
        fixed=0 if known is None or one_value else tag,
        is_signed=_NUMBERS.get(vr),
        values=enumerated.everywhere().get(tag),
        in_places=enumerated.IN_PLACES.get(tag, ()),
    )


# Where the data set does not say which of several VRs it is, these have the same length and no other check.
_KNOWN_FIRST = frozenset(("US",))
# VRs that earlier editions gave: a file of that time is not wrong.
_ALSO: dict[int, tuple[str, ...]] = {}


class Looking:
    """One look at one file."""

    def __init__(self, file: Part10) -> None:
        self._file, self._data = file, file.data
        self._order = file.encoding.byte_order
        self._of_class = enumerated.of_class(file.text(SOP_CLASS) or "")
        self._seen: set[tuple[str, tuple[int, ...]]] = set()
        self._found: list[Broken] = []
        self._text_bytes_left = TEXTS_BYTES_MAX

    def broken(self) -> Iterator[Broken]:
        try:
            self._header()
            Walking(self._file, self._look, self._does_not_hold, is_sequence).top()
        except TooMany:
            self._found.append(("values_unchecked", None))
        except _Enough:
            pass
        yield from self._found

    def _say(self, rule: str, tag: int, scope: Scope) -> None:
        kind = (rule, scope.kind(tag))
        if kind in self._seen:
            return
        if len(self._found) >= BROKEN_MAX:
            raise _Enough
        self._seen.add(kind)
        self._found.append((rule, tag if scope.place is None else scope.path(tag)))

    def _does_not_hold(self, tag: int, scope: Scope) -> None:
        self._say("sequence_broken", tag, scope)

    def _header(self) -> None:
        """The file's header: UIDs, as far as they are not the data set's."""
        scope = Scope()
        for tag in _UIDS_OF_HEADER:
            raw = self._file.meta.get(tag, "").encode("ascii", "replace")
            plan = _plan(tag, "UI")
            if raw and plan.text and not plan.text.right(raw):
                for rule in plan.text.faults(raw, scope.repertoire, False):
                    self._say(rule, tag, scope)

    def _look(self, tag: int, vr: str, start: int, end: int, scope: Scope) -> None:
        if tag >> 16 & 1:
            self._private(tag, vr, start, end, scope)
        plan = _plan(tag, vr)
        if plan.broken:
            self._say(plan.broken, tag, scope)
        if start == end:
            return
        if tag == CHARACTER_SET:
            self._character_set(start, end, scope)
        if plan.size:
            self._binary(plan, tag, start, end, scope)
        elif plan.text is not None:
            self._text(plan, plan.text, tag, start, end, scope)

    def _private(self, tag: int, vr: str, start: int, end: int, scope: Scope) -> None:
        """Who reserved which block (PS3.5 section 7.8.1)."""
        element = tag & 0xFFFF
        if tag >> 16 in _ILLEGAL_GROUPS:
            self._say("private_group", tag, scope)
        elif 0x10 <= element <= 0xFF:
            scope.blocks.add(tag)
            if vr not in ("", "LO", "UN"):
                self._say("private_creator_vr", tag, scope)
            elif start == end:
                self._say("private_creator_empty", tag, scope)
        elif 0 < element < 0x1000:
            self._say("private_element", tag, scope)
        elif element and tag & 0xFFFF0000 | element >> 8 not in scope.blocks:
            self._say("private_creator_missing", tag, scope)

    def _character_set(self, start: int, end: int, scope: Scope) -> None:
        scope.repertoire, faults = repertoire_of(self._data[start : min(end, start + ENUMERATED_BYTES_MAX)])
        for fault in faults:
            self._say(fault, CHARACTER_SET, scope)

    def _binary(self, plan: _Plan, tag: int, start: int, end: int, scope: Scope) -> None:
        count, rest = divmod(end - start, plan.size)
        if rest:
            self._say("value_length", tag, scope)
            return
        if plan.fixed:
            self._multiplicity(plan, tag, count, scope)
        values = plan.values or (self._of_class.get(tag) if scope.place is None else None)
        if values is not None and plan.is_signed is not None and end - start <= ENUMERATED_BYTES_MAX:
            for at in range(start, end, plan.size):
                number = int.from_bytes(self._data[at : at + plan.size], self._order, signed=plan.is_signed)
                if number not in values:
                    self._say("enumerated_value", tag, scope)

    def _text(self, plan: _Plan, text: Text, tag: int, start: int, end: int, scope: Scope) -> None:
        cut = end - start > TEXT_BYTES_MAX
        raw = self._text_bytes(start, end, cut, plan.one_value)
        if not text.right(raw):
            for rule in text.faults(raw, scope.repertoire, cut and plan.one_value):
                if rule != "uid_leading_zero" or tag not in _SAID_ELSEWHERE:
                    self._say(rule, tag, scope)
        if plan.fixed and not (scope.repertoire.is_wide and not raw.isascii()):
            separators = self._data.count(b"\\", start, end)
            if separators or not plan.allows_one:
                self._multiplicity(plan, tag, separators + 1, scope)
        values = plan.values or (self._of_class.get(tag) if scope.place is None else None)
        if values is not None and len(raw) <= ENUMERATED_BYTES_MAX:
            self._enumerated(raw, values, tag, scope)
        if plan.in_places:
            said = [value.strip(" \0") for value in raw[:ENUMERATED_BYTES_MAX].decode("latin-1").split("\\")]
            if any(value and value not in allowed for value, allowed in zip(said, plan.in_places, strict=False)):
                self._say("enumerated_value", tag, scope)

    def _text_bytes(self, start: int, end: int, cut: bool, one_value: bool) -> bytes:
        """What is looked at of a text. Raises TooMany."""
        raw = self._data[start : start + TEXT_BYTES_MAX if cut else end]
        self._text_bytes_left -= len(raw)
        if self._text_bytes_left < 0:
            raise TooMany
        # Of many values those that are whole.
        return raw[: raw.rfind(b"\\")] if cut and not one_value and b"\\" in raw else raw

    def _enumerated(self, raw: bytes, values: Values, tag: int, scope: Scope) -> None:
        for value in raw.decode("latin-1").split("\\"):
            said = value.strip(" \0")
            if said and said not in values and _number(said) not in values:
                self._say("enumerated_value", tag, scope)

    def _multiplicity(self, plan: _Plan, tag: int, count: int, scope: Scope) -> None:
        known = expected(plan.fixed)
        if known is not None and not known.allows(count):
            self._say("vm", tag, scope)


def _number(said: str) -> float | None:
    """Numbers written in digits are compared as numbers: 1, 1.0 and 01 are the same."""
    try:
        return float(said)
    except ValueError:
        return None
