"""RSP^K22: the candidates of a query, read in bounded time and memory. What is raised here never quotes the answer."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from consumers.catalog.imports import Patient
from producers.orders import names
from producers.orders.message import BadMessage, Field, Message, Segment, read
from producers.orders.order import LONG_MAX, NEVER
from radstream.demographics.query import Query

_ACCEPTED: Final = "AA"
_STATUSES: Final = ("OK", "NF")
_CODE: Final = re.compile(r"[A-Z]{2}")
# CX-5 (table 0203): of several numbers of one issuer, which one names the patient here.
_NUMBER_TYPES: Final = ("MR", "PI", "")


class NotAnswered(Exception):
    """There is no answer that can be used. The text says why in our own words."""


@dataclass(frozen=True)
class Answer:
    """`more`: the supplier has others that it did not give. `unusable` ones have no ID that an image could carry."""

    patients: tuple[Patient, ...] = ()
    more: bool = False
    unusable: int = 0


def answer(data: bytes, asked: Query, domain: str, patients_max: int) -> Answer:
    """Raises NotAnswered for what is no answer to this query, or says that it was not answered."""
    try:
        message = read(data)
        _check(message, asked)
        said = [segment for segment in message.segments if segment.name == "PID"]
        found = [_patient(pid, domain) for pid in said[:patients_max]]
    except BadMessage as bad:
        raise NotAnswered(f"its answer cannot be read: {bad.text}") from None
    usable = tuple(dict.fromkeys(one for one in found if one is not None))
    goes_on = message.first("DSC")
    more = len(said) > patients_max or (goes_on is not None and bool(goes_on.text(1)))
    return Answer(usable, more, found.count(None))


def _check(message: Message, asked: Query) -> None:
    """Raises NotAnswered, BadMessage."""
    head, acknowledged = message.head, message.first("MSA")
    if (head.text(9, 1), head.text(9, 2)) != ("RSP", "K22") or acknowledged is None:
        raise NotAnswered("what it sent is no RSP^K22; is it a patient demographics supplier (IHE PDQ, ITI-21)?")
    if acknowledged.text(2) != asked.number:
        raise NotAnswered("it answered another query than ours")
    status = message.first("QAK")
    code, found = acknowledged.text(1), status.text(2) if status else ""
    if code != _ACCEPTED or found not in _STATUSES:
        codes = [text if _CODE.fullmatch(text) else "-" for text in (code, found)]
        raise NotAnswered(f"it did not answer the query (MSA-1 {codes[0]}, QAK-2 {codes[1]}); look into its log")
    if status is not None and status.text(1) not in (asked.number, ""):
        raise NotAnswered("it answered another query than ours")


def _patient(pid: Segment, domain: str) -> Patient | None:
    """None for a patient without an ID of ours, or with one that Patient ID (0010,0020) cannot say."""
    number, issuer = _identifier(pid.repeats(3), domain)
    if not 0 < len(number) <= LONG_MAX or NEVER.search(number) or len(issuer) > LONG_MAX:
        return None
    return Patient(number, issuer, _name(pid), _birth_date(pid.text(7)), names.sex(pid.text(8)))


def _identifier(numbers: Sequence[Field], domain: str) -> tuple[str, str]:
    ours = [one for one in numbers if not domain or domain in (one.text(4, 1), one.text(4, 2))]
    chosen = next((one for kind in _NUMBER_TYPES for one in ours if one.text(5) == kind), ours[0] if ours else Field())
    return names.identifier(chosen)


def _name(pid: Segment) -> str:
    """PN: groups of up to 64 characters (PS3.5 section 6.2.1); what is longer is cut, as a person only reads it."""
    return "=".join(group[:LONG_MAX] for group in names.patient_name(pid.repeats(5)).split("="))


def _birth_date(text: str) -> str:
    """YYYYMMDD, or empty where that is not known to the day."""
    try:
        date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return ""
    return text[:8]
