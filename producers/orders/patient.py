"""PID, PV1 and AL1 as attributes of patient and visit (IHE RAD TF-2 table B-1)."""

from __future__ import annotations

from itertools import islice

from producers.orders import names
from producers.orders.message import Field, Message, Segment
from producers.orders.order import NEVER

# CX-5 (table 0203): of several numbers, which one names the patient here.
_NUMBER_TYPES = ("MR", "PI", "")
# Of 64 characters that a worklist may say of them.
_ALLERGIES_MAX = 20
_PREGNANT = "B6"  # PV1-15 (table 0009)
_DEFINITELY = "3"  # Pregnancy Status (0010,21C0)


def patient(message: Message) -> dict[str, str | list[str]]:
    """Texts by DICOM keyword, of what is said. Raises BadMessage."""
    empty = Segment("PV1", (), message.head.separators)
    pid, visit = message.first("PID") or empty, message.first("PV1") or empty
    of_whom = of_pid(pid)
    said: dict[str, str | list[str]] = {
        **of_whom,
        "CurrentPatientLocation": _place(visit),
        "ReferringPhysicianName": names.person(visit.repeats(8), first=2),
        "PregnancyStatus": _DEFINITELY if any(one.text() == _PREGNANT for one in visit.repeats(15)) else "",
        "AdmissionID": names.plain(visit.text(19)) or of_whom["AdmissionID"],
        "Allergies": _allergies(message),
    }
    return {keyword: value for keyword, value in said.items() if value}


def of_pid(pid: Segment) -> dict[str, str | list[str]]:
    """All that is taken of a PID, empty for what it does not say. Raises BadMessage."""
    return {
        **_numbers(pid.repeats(3)),
        "PatientName": names.patient_name(pid.repeats(5)),
        "PatientBirthDate": names.moment(birth, "PID-7")[0] if len(birth := pid.text(7)) >= 8 else "",
        "PatientSex": names.sex(pid.text(8)),
        "AdmissionID": names.plain(pid.text(18)),
    }


def _numbers(numbers: list[Field]) -> dict[str, str | list[str]]:
    if not numbers:
        return {}
    chosen = next((one for kind in _NUMBER_TYPES for one in numbers if one.text(5) == kind), numbers[0])
    number, issuer = names.identifier(chosen)
    others = [names.identifier(one)[0] for one in numbers if one is not chosen]
    # An order is not refused for a number by which nobody looks for its images.
    said = [one for one in others if one and not NEVER.search(one)]
    return {"PatientID": number, "IssuerOfPatientID": issuer, "OtherPatientIDs": said[:10]}


def _place(visit: Segment) -> str:
    """PL: point of care, room, bed, facility."""
    return names.cut(" ".join(part for at in range(1, 5) if (part := visit.text(3, at))))


def _allergies(message: Message) -> str:
    spoken = islice((one for one in message.segments if one.name == "AL1"), _ALLERGIES_MAX)
    said = [one.text(3, 2) or one.text(3) for one in spoken]
    return names.cut(", ".join(text for text in said if text))
