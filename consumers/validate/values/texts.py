"""How texts are written: the syntax of each value representation (PS3.5 section 6.2 and 6.1.3).

A value that is as it should be costs one regular expression; only where that does not match is it asked what is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

from consumers.validate.values.charsets import Repertoire, Undecodable

# Characters in a value, where they are fewer than what a length can say.
LENGTHS = {"AE": 16, "CS": 16, "SH": 16, "LO": 64, "PN": 64, "ST": 1024, "LT": 10240, "UI": 64, "DS": 16, "IS": 12}
# One value each, whatever is in them.
ONE_VALUE = frozenset(("ST", "LT", "UT", "UR"))
# In Specific Character Set; texts of other VRs are of ASCII.
IN_CHARSET = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))

_NUMBER = rb"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_DAY = rb"[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|1[0-9]|2[0-8])"
_ANY_DAY = rb"[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
# A second of 60 is a leap second.
_CLOCK = rb"(?:[01][0-9]|2[0-3])(?:[0-5][0-9](?:(?:[0-5][0-9]|60)(?:\.[0-9]{1,6})?)?)?"
_MOMENT = (
    rb"[0-9]{4}(?:(?:0[1-9]|1[0-2])(?:(?:0[1-9]|[12][0-9]|3[01])(?:"
    + _CLOCK
    + rb")?)?)?(?:[+-](?:0[0-9]|1[0-4])[0-5][0-9])?"
)
_COMPONENT = rb"(?:0|[1-9][0-9]*)"
_UID = _COMPONENT + rb"(?:\." + _COMPONENT + rb")*"
_ONES = {
    "AE": rb" *[!-\[\]-~][ -\[\]-~]*",
    "AS": rb"[0-9]{3}[DWMY]",
    "CS": rb"[A-Z0-9_ ]*",
    "DA": _DAY,
    "DS": rb" *" + _NUMBER + rb" *",
    "DT": _MOMENT + rb" *",
    "IS": rb" *[+-]?[0-9]{1,9} *",
    "TM": _CLOCK + rb" *",
    "UI": _UID,
}
# A name's part: neither '^' nor '='.
_PART = rb"[ -<>-\[\]_-~]*"
_PROSE = rb"[ -\[\]-~]"


def _of_values(one: bytes, pad: bytes = b"") -> re.Pattern[bytes]:
    return re.compile(rb"(?:" + one + rb")?(?:\\(?:" + one + rb")?)*" + pad)


# What is wholly right: everything else is looked at value by value. None of these can match the same bytes in two ways,
# so that hostile ones cannot make it try them all.
_RIGHT = {
    # Several values of eight or four characters are filled up to an even length too.
    **{vr: _of_values(_ONES[vr], b" ?") for vr in ("AS", "DA")},
    **{vr: _of_values(_ONES[vr]) for vr in ("DT", "IS", "TM")},
    "AE": _of_values(rb"[!-\[\]-~][ -\[\]-~]{0,15}"),
    "CS": _of_values(rb"[A-Z0-9_ ]{1,16}"),
    "DS": _of_values(rb"(?=[^\\]{1,16}(?:\\|\Z)) *" + _NUMBER + rb" *"),
    "UI": _of_values(rb"(?=[^\\]{1,64}(?:\\|\Z))(?![0.]*(?:[\\\0]|\Z))" + _UID, rb"\0?"),
    **{vr: _of_values(_PROSE + rb"{1,%d}" % LENGTHS[vr]) for vr in ("LO", "SH")},
    "PN": _of_values(rb"(?=[^\\]{1,64}(?:\\|\Z))" + _PART + rb"(?:\^" + _PART + rb"){0,4}"),
    "UC": re.compile(rb"[ -~]*"),
    "UR": re.compile(rb"[!-\[\]_a-z~][!-\[\]_a-z~]* *"),
    # Tab, line feed, form feed, carriage return (table 6.1-1).
    **{vr: re.compile(rb"[ -~\t\n\f\r]{0,%d}" % LENGTHS[vr]) for vr in ("ST", "LT")},
    "UT": re.compile(rb"[ -~\t\n\f\r]*"),
}
_SYNTAX = {vr: re.compile(one) for vr, one in {**_ONES, "DA": _ANY_DAY}.items()}
_RULES = {
    "AE": "ae_title",
    "AS": "age",
    "CS": "code_string",
    "DA": "date",
    "DS": "decimal_string",
    "DT": "date_time",
    "IS": "integer_string",
    "TM": "time",
    "UI": "uid",
    "UR": "uri",
}
_INTEGER = re.compile(rb" *[+-]?[0-9]{1,12} *")
_LEADING_ZERO = re.compile(rb"[0-9]+(?:\.[0-9]+)*")
_ONLY_ZEROS = re.compile(rb"0+(?:\.0+)*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_PROSE = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f]")
_PERSON_GROUPS_MAX, _PERSON_COMPONENTS_MAX = 3, 5

VRS = frozenset(_RIGHT)


@dataclass(frozen=True)
class Text:
    """How one VR is looked at."""

    right: Callable[[bytes], object]
    faults: Callable[[bytes, Repertoire, bool], Iterator[str]]
    is_one_value: bool


def text_of(vr: str) -> Text:
    """Raises KeyError where a VR is none of texts."""
    faults = _prose if vr in IN_CHARSET else _address if vr == "UR" else _code
    return Text(_RIGHT[vr].fullmatch, lambda raw, repertoire, cut: faults(vr, raw, repertoire, cut), vr in ONE_VALUE)


def _padded(vr: str, raw: bytes) -> tuple[bytes, bool]:
    """A value without wrong padding at its end, and whether there was any: NUL is for UIDs, a space for all others."""
    if vr == "UI":
        stripped = raw.removesuffix(b"\0")
        bare = stripped.rstrip(b" \0")
        return bare, bare != stripped
    bare = raw.rstrip(b"\0")
    return bare.removesuffix(b" ") if vr in ("AS", "DA") else bare, bare != raw


def _code(vr: str, raw: bytes, _: Repertoire, __: bool) -> Iterator[str]:
    """A VR of ASCII whose values have a syntax."""
    bare, is_padded_wrongly = _padded(vr, raw)
    if is_padded_wrongly:
        yield "padding"
    for value in bare.split(b"\\"):
        if value.strip(b" "):
            yield from _value(vr, value)


def _value(vr: str, value: bytes) -> Iterator[str]:
    longest = LENGTHS.get(vr)
    if longest is not None and len(value.rstrip(b" ") if vr in ("AE", "CS") else value) > longest:
        yield "too_long"
    if vr == "UI" and _LEADING_ZERO.fullmatch(value):
        if _ONLY_ZEROS.fullmatch(value):
            yield "uid_of_zeros"
        elif not _SYNTAX["UI"].fullmatch(value):
            yield "uid_leading_zero"
        return
    if vr == "DA" and _SYNTAX["DA"].fullmatch(value):
        if not _is_day(value):
            yield "date"
    elif vr == "IS" and _INTEGER.fullmatch(value):
        if not -(2**31) <= int(value) < 2**31:
            yield "integer_range"
    elif not _SYNTAX[vr].fullmatch(value):
        yield _RULES[vr]


def _is_day(value: bytes) -> bool:
    try:
        date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return False
    return True


def _address(_: str, raw: bytes, __: Repertoire, ___: bool) -> Iterator[str]:
    bare, is_padded_wrongly = _padded("UR", raw)
    if is_padded_wrongly:
        yield "padding"
    if not _RIGHT["UR"].fullmatch(bare):
        yield "uri"


def _prose(vr: str, raw: bytes, repertoire: Repertoire, cut: bool) -> Iterator[str]:
    """A VR of free text in the character set of its data set."""
    bare, is_padded_wrongly = _padded(vr, raw)
    if is_padded_wrongly:
        yield "padding"
    try:
        text = repertoire.decoded(bare, cut=cut)
    except Undecodable as error:
        yield error.rule
        text = bare.decode("latin-1")
        # Its control characters would be taken for those of another set.
        bad = _CONTROL_IN_PROSE.search("".join(sign for sign in text if sign < "\x80" and sign != "\x1b"))
    else:
        bad = (_CONTROL_IN_PROSE if vr in ONE_VALUE else _CONTROL).search(text) if repertoire.known else None
    if bad:
        yield "control_character"
    if vr in LENGTHS:
        longest = LENGTHS[vr]
        values = [text] if vr in ONE_VALUE else text.split("\\")
        parts = [part for value in values for part in value.split("=")] if vr == "PN" else values
        if any(len(part) > longest and len(part.rstrip(" ")) > longest for part in parts):
            yield "too_long"
        if vr == "PN" and any(_is_no_name(value) for value in values):
            yield "person_name"


def _is_no_name(value: str) -> bool:
    groups = value.split("=")
    return len(groups) > _PERSON_GROUPS_MAX or any(group.count("^") >= _PERSON_COMPONENTS_MAX for group in groups)
