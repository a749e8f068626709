"""One file's elements, one after another, and what is wrong with their values."""

from __future__ import annotations

from collections.abc import Iterator

from consumers.validate.rule import Broken
from consumers.validate.values import enumerated
from consumers.validate.values.charsets import repertoire_of
from consumers.validate.values.dictionary import expected, is_sequence
from consumers.validate.values.enumerated import Values
from consumers.validate.values.plans import Plan, plan_of
from consumers.validate.values.scope import Scope
from consumers.validate.values.texts import Text
from consumers.validate.values.walking import TooMany, Walking
from streams.part10 import Part10

CHARACTER_SET, SOP_CLASS = 0x00080005, 0x00080016
# Of one element's texts, of all of them, and of those whose enumerated values are looked up: more is not looked at.
TEXT_BYTES_MAX, TEXTS_BYTES_MAX, ENUMERATED_BYTES_MAX = 64 << 10, 4 << 20, 1 << 10
# Of all texts with something wrong or beyond ASCII: those take long to look at.
ODD_BYTES_MAX = 1 << 20
# Distinct places of one file: more of it says nothing, and there is a ceiling for all findings of an image.
BROKEN_MAX = 60
# PS3.5 section 7.8: odd groups that are nobody's.
_ILLEGAL_GROUPS = frozenset((1, 3, 5, 7, 0xFFFF))
_UIDS_OF_HEADER = (0x00020002, 0x00020003, 0x00020010, 0x00020012)
# The step says these of the UIDs that an instance is known by.
_SAID_ELSEWHERE = frozenset((0x00080016, 0x00080018, 0x0020000D, 0x0020000E))


class _Enough(Exception):
    """There is so much wrong that more of it says nothing."""


class Looking:
    """One look at one file."""

    def __init__(self, file: Part10) -> None:
        self._file, self._data = file, file.data
        self._order = file.encoding.byte_order
        self._of_class = enumerated.of_class(file.text(SOP_CLASS) or "")
        self._seen: set[tuple[str, tuple[int, ...]]] = set()
        self._found: list[Broken] = []
        self._text_bytes_left, self._odd_bytes_left = TEXTS_BYTES_MAX, ODD_BYTES_MAX

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
        """The UIDs of the file's header, also where the data set has the same."""
        scope = Scope()
        for tag in _UIDS_OF_HEADER:
            raw = self._file.meta.get(tag, "").encode("ascii", "replace")
            plan = plan_of(tag, "UI")
            if raw and plan.text and not plan.text.right(raw):
                for rule in plan.text.faults(raw, scope.repertoire, False):
                    self._say(rule, tag, scope)

    def _look(self, tag: int, vr: str, start: int, end: int, scope: Scope) -> None:
        if tag >> 16 & 1:
            self._private(tag, vr, start, end, scope)
        plan = plan_of(tag, vr)
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

    def _binary(self, plan: Plan, tag: int, start: int, end: int, scope: Scope) -> None:
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

    def _text(self, plan: Plan, text: Text, tag: int, start: int, end: int, scope: Scope) -> None:
        cut = end - start > TEXT_BYTES_MAX
        raw = self._text_bytes(start, end, cut, plan.one_value)
        if not text.right(raw):
            self._odd_text(text, raw, cut and plan.one_value, tag, scope)
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

    def _odd_text(self, text: Text, raw: bytes, cut: bool, tag: int, scope: Scope) -> None:
        """What is wrong, if anything, with a text that is not plainly right. Raises TooMany."""
        self._odd_bytes_left -= len(raw)
        if self._odd_bytes_left < 0:
            raise TooMany
        for rule in text.faults(raw, scope.repertoire, cut):
            if rule != "uid_leading_zero" or tag not in _SAID_ELSEWHERE:
                self._say(rule, tag, scope)

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

    def _multiplicity(self, plan: Plan, tag: int, count: int, scope: Scope) -> None:
        known = expected(plan.fixed)
        if known is not None and not known.allows(count):
            self._say("vm", tag, scope)


def _number(said: str) -> float | None:
    """Numbers written in digits are compared as numbers: 1, 1.0 and 01 are the same."""
    try:
        return float(said)
    except ValueError:
        return None
