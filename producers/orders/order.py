"""An order, as everybody states it: one requested procedure with its scheduled steps (PS3.3 section 7.3.1).

Texts are by DICOM keyword. A coded concept is three texts (value, scheme, meaning); several follow one another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from streams.identity import uid_is_usable

Action = Literal["placed", "changed", "cancelled", "completed"]
Priority = Literal["stat", "high", "routine", "medium", "low"]
Said = Mapping[str, str | list[str]]

STEPS_MAX: Final = 50
STATIONS_MAX: Final = 50
VALUES_MAX: Final = 30
# PS3.5 section 6.2. A longer ID would come back cut in the images, and match nothing.
SHORT_MAX, LONG_MAX, TEXT_MAX = 16, 64, 1024
_SHORT: Final = frozenset(("RequestedProcedureID", "ScheduledProcedureStepID", "ScheduledStationName"))
_LONG: Final = frozenset(
    (
        *("PatientID", "IssuerOfPatientID", "AdmissionID", "IssuerOfAccessionNumber", "CurrentPatientLocation"),
        *("RequestedProcedureDescription", "ScheduledProcedureStepDescription", "PatientState", "MedicalAlerts"),
        *("Allergies", "SpecialNeeds", "OtherPatientIDs", "RequestingService", "PatientTransportArrangements"),
        *("PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest"),
    )
)
_NAMES: Final = frozenset(
    ("PatientName", "ReferringPhysicianName", "RequestingPhysician", "ScheduledPerformingPhysicianName")
)
_AE: Final = re.compile(r"[!-\[\]-~](?:[ -\[\]-~]{0,14}[!-\[\]-~])?")
_CODE_STRING: Final = re.compile(r"[A-Z0-9_ ]{1,16}")
_DATE: Final = re.compile(r"(?:18|19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])")
_TIME: Final = re.compile(r"(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]")
# In no value of DICOM.
NEVER: Final = re.compile(r"[\x00-\x1f\x7f\\]")


class BadOrder(Exception):
    """The order cannot be taken. The text says what is wrong with which attribute, and never its value."""


@dataclass(frozen=True)
class Step:
    """One scheduled procedure step. Date (YYYYMMDD) and time (HHMMSS) are local to the site."""

    said: Said
    modality: str | None = None
    station_aes: tuple[str, ...] = ()
    start_date: str | None = None
    start_time: str | None = None


@dataclass(frozen=True)
class Order:
    """Accession number, its issuer and requested procedure ID name it; everything else may be changed.

    `study_uid` is the RIS's, where it gave one. `in_full`: number and ID were said; nothing was taken for them. Of what
    is completed, `steps` have an ID and nothing else; where there is none, all are.
    """

    action: Action
    accession: str
    procedure_id: str
    issuer: str = ""
    in_full: bool = True
    priority: Priority = "routine"
    study_uid: str | None = None
    said: Said = field(default_factory=dict)
    steps: tuple[Step, ...] = ()


def check(order: Order) -> None:
    """Raises BadOrder where a worklist could not say it, or images could not come back with it."""
    for name, value in (("accession number", order.accession), ("requested procedure ID", order.procedure_id)):
        plain = 0 < len(value) <= SHORT_MAX and not NEVER.search(value)
        _require(plain, f"the {name} is not 1 to {SHORT_MAX} characters, without backslash")
    _require(len(order.issuer) <= LONG_MAX, f"the accession number's issuer has more than {LONG_MAX} characters")
    _require(order.study_uid is None or uid_is_usable(order.study_uid), "the Study Instance UID is not a UID")
    if order.action in ("cancelled", "completed"):
        _require(len(order.steps) <= STEPS_MAX, f"more than {STEPS_MAX} scheduled procedure steps are completed")
        for step in order.steps:
            _check_texts(step.said)
        return
    _require(bool(order.said.get("PatientID")), "there is no patient ID")
    _require(bool(order.said.get("PatientName")), "there is no patient's name")
    _require(
        _DATE.fullmatch(str(order.said.get("PatientBirthDate", "19000101"))) is not None,
        "the date of birth is not YYYYMMDD",
    )
    _require(0 < len(order.steps) <= STEPS_MAX, f"an order has 1 to {STEPS_MAX} scheduled procedure steps")
    _check_texts(order.said)
    for step in order.steps:
        _check_step(step)


def _check_step(step: Step) -> None:
    _check_texts(step.said)
    _require(bool(step.said.get("ScheduledProcedureStepID")), "a scheduled procedure step has no ID")
    _require(_CODE_STRING.fullmatch(step.modality or "") is not None, "a step has no modality, or one that is no code")
    _require(len(step.station_aes) <= STATIONS_MAX, f"a step has more than {STATIONS_MAX} stations")
    _require(all(map(_AE.fullmatch, step.station_aes)), "a station's AE title is not one (PS3.5 section 6.2)")
    # On no day of the calendar it would be in no worklist.
    _require(_is_day(step.start_date or ""), "a step has no start date as YYYYMMDD")
    _require(_TIME.fullmatch(step.start_time or "000000") is not None, "a step's start time is not HHMMSS")


def _check_texts(said: Said) -> None:
    for keyword, value in said.items():
        ceiling = SHORT_MAX if keyword in _SHORT else LONG_MAX if keyword in _LONG else TEXT_MAX
        texts = [value] if isinstance(value, str) else value
        _require(len(texts) <= VALUES_MAX, f"{keyword} has more than {VALUES_MAX} values")
        for text in texts:
            _require(len(text) <= ceiling, f"{keyword} has more than {ceiling} characters")
            _require(not NEVER.search(text), f"{keyword} has a control character or a backslash")
        _require(keyword not in _NAMES or _is_name(texts[0]), f"{keyword} is no name as DICOM writes it")


def _is_day(text: str) -> bool:
    try:
        return _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))
    except ValueError:
        return False


def _is_name(text: str) -> bool:
    """PN (PS3.5 section 6.2.1): up to three component groups of up to five components."""
    groups = text.split("=")
    return len(groups) <= 3 and all(len(group) <= LONG_MAX and group.count("^") <= 4 for group in groups)


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise BadOrder(what)


def codes(value: str | list[str]) -> Iterator[tuple[str, str, str]]:
    """Value, scheme and meaning of each coded concept."""
    texts = [value] if isinstance(value, str) else value
    for at in range(0, len(texts) - 2, 3):
        yield texts[at], texts[at + 1], texts[at + 2]
