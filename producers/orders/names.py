"""HL7 data types as DICOM writes them: names, identifiers, times, codes, priorities."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from producers.orders.message import BadMessage, Field, Segment
from producers.orders.order import LONG_MAX, Priority

# IHE RAD TF-2 appendix B, table B-1: HL7 table 0485 as Requested Procedure Priority (0040,1003).
PRIORITIES: Final[Mapping[str, Priority]] = {
    "S": "stat",
    "A": "high",
    "P": "high",
    "C": "high",
    "T": "medium",
    "R": "routine",
    "STAT": "stat",
    "ASAP": "high",
    "HIGH": "high",
    "MEDIUM": "medium",
    "LOW": "low",
    "ROUTINE": "routine",
}
_TIME: Final = re.compile(r"([0-9]{8})(?:([0-9]{2})([0-9]{2})?([0-9]{2})?)?(?:\.[0-9]{1,4})?(?:[+-][0-9]{4})?")
_SEX: Final = {"F": "F", "M": "M", "O": "O", "A": "O"}
# XPN-7 (table 0200): legal, or not said; maiden names and aliases come behind.
_LEGAL: Final = ("L", "")
_FORMS: Final = {"": 0, "A": 0, "I": 1, "P": 2}  # table 0465: alphabetic, ideographic, phonetic


def person(names: Sequence[Field], first: int = 1) -> str:
    """XPN, or XCN from its second component: a PN. HL7 has the suffix before the prefix, DICOM after it."""
    groups = ["", "", ""]
    for name in names:
        form = _FORMS.get(name.text(first + 7 if first == 1 else 15), 0)
        family, given, middle, suffix, prefix = (plain(name.text(first + at)) for at in range(5))
        groups[form] = groups[form] or "^".join((family, given, middle, prefix, suffix)).rstrip("^")
    return "=".join(groups).rstrip("=")


def patient_name(names: Sequence[Field]) -> str:
    """Of several XPN the legal one, as a PN."""
    return person(sorted(names, key=lambda name: name.text(7) not in _LEGAL))


def plain(text: str) -> str:
    """What separates the parts of names in DICOM is nothing in one; and no value has a backslash or a line end."""
    return re.sub(r"[\\^=\x00-\x1f\x7f]+", " ", text).strip()


def verbatim(text: str) -> str:
    """What identifies: where DICOM cannot say it (`order.check`) it is refused, since another number is another's."""
    return text.strip()


def cut(text: str, length: int = LONG_MAX) -> str:
    """Words for people: what is too long for DICOM is cut."""
    return plain(text)[:length].rstrip()


def identifier(field: Field) -> tuple[str, str]:
    """CX: the number, and who issued it: the namespace, else the universal ID."""
    return verbatim(field.text(1)), plain(field.text(4, 1) or field.text(4, 2))


def moment(text: str, where: str) -> tuple[str, str | None]:
    """DTM: YYYYMMDD, and HHMMSS where it is said, as the clock on the wall of who says it. Raises BadMessage."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise BadMessage("102", f"{where} is not a date and time")
    day, hour, minute, second = found.groups()
    return day, f"{hour}{minute or '00'}{second or '00'}" if hour else None


def sex(text: str) -> str:
    return _SEX.get(text.upper(), "")


def code(field: Field, first: int = 1) -> list[str]:
    """CE or CWE as value, scheme and meaning; nothing where there is no value. Without a scheme it is local."""
    value, meaning, scheme = (plain(field.text(first + at)) for at in range(3))
    return [value, scheme[:16] or "L", (meaning or value)[:LONG_MAX]] if value else []


def priority(text: str, more: Mapping[str, Priority], where: str) -> Priority | None:
    """None where nothing is said. Raises BadMessage: an urgency that nobody understands must not become routine."""
    if not text:
        return None
    found = more.get(text) or PRIORITIES.get(text.upper())
    if found is None:
        raise BadMessage("103", f"{where} is a priority that is not known; name it in [orders.priorities]")
    return found


def issuer_of(segment: Segment, number: int) -> str:
    """EI: its namespace, else the universal ID."""
    return plain(segment.text(number, 2) or segment.text(number, 3))
