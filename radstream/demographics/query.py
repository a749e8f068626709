"""QBP^Q22: find candidates by what is known of a patient (IHE ITI TF-2 section 3.21; HL7 v2.5 chapter 5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from producers.orders.message import Separators
from producers.orders.names import plain
from radstream.demographics.config import Settings

NAME: Final = "IHE PDQ Query"
_OID: Final = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+")
_MARKS: Final = Separators()
_VALUE_MAX: Final = 64


@dataclass(frozen=True)
class Known:
    """What is known of a patient, as DICOM writes it; empty for what is not."""

    name: str = ""
    birth_date: str = ""
    sex: str = ""
    patient_id: str = ""
    issuer: str = ""

    @property
    def family(self) -> str:
        return self._component(0)

    @property
    def given(self) -> str:
        return self._component(1)

    def _component(self, at: int) -> str:
        """Of the first component group that says anything: others are the same name in another script."""
        group = next((one for one in self.name.split("=") if one.strip("^ ")), "")
        parts = group.split("^")
        return parts[at].strip() if at < len(parts) else ""


@dataclass(frozen=True)
class Query:
    """`number` (MSH-10 and QPD-2) comes back with its answer."""

    number: str
    data: bytes


def query(known: Known, settings: Settings, site: str, at: datetime, number: str) -> Query:
    """`number` is another one for each query, of 20 characters at most."""
    criteria = _MARKS.repeat.join(f"@{field}{_MARKS.component}{_escaped(value)}" for field, value in _criteria(known))
    own = ("RADSTREAM", _plain(site), settings.application, settings.facility)
    head = ("MSH", "^~\\&", *own, f"{at:%Y%m%d%H%M%S}", "", "QBP^Q22^QBP_Q21", number, "P", "2.5")
    lines = (
        (*head, "", "", "", "", "", "UNICODE UTF-8"),
        # QPD-4 to QPD-7, how candidates are matched, is the supplier's own; QPD-8 says whose IDs are wanted.
        ("QPD", NAME, number, criteria, *([""] * 4), _domain(settings.domain)),
        ("RCP", "I", f"{settings.patients_max}^RD"),
    )
    text = "".join(_MARKS.field.join(fields).rstrip(_MARKS.field) + "\r" for fields in lines)
    return Query(number, text.encode())


def _criteria(known: Known) -> Iterator[tuple[str, str]]:
    """All of which have to hold."""
    if known.patient_id:
        yield "PID.3.1", known.patient_id
    if known.patient_id and known.issuer:
        yield "PID.3.4.2" if _OID.fullmatch(known.issuer) else "PID.3.4.1", known.issuer
    if known.family:
        yield "PID.5.1.1", known.family
    if known.given:
        yield "PID.5.2", known.given
    if known.birth_date:
        yield "PID.7", known.birth_date
    if known.sex in ("F", "M", "O"):
        yield "PID.8", known.sex


def _domain(domain: str) -> str:
    """CX of a patient ID that is not said, of an assigning authority that is."""
    if not domain:
        return ""
    return f"^^^&{domain}&ISO" if _OID.fullmatch(domain) else f"^^^{domain}"


def _escaped(value: str) -> str:
    """HL7 v2.5 section 2.7.1. Component and escape signs, and what would end a message, are nothing in a name."""
    names = {_MARKS.field: "F", _MARKS.repeat: "R", _MARKS.part: "T"}
    said = {sign: f"{_MARKS.escape}{name}{_MARKS.escape}" for sign, name in names.items()}
    return "".join(said.get(sign, sign) for sign in plain(value)[:_VALUE_MAX])


def _plain(text: str) -> str:
    return "".join(sign for sign in plain(text) if sign not in "|~&")
