"""ORC, OBR and IPC as words of requested procedure and scheduled step (IHE RAD TF-2 table B-1)."""

from __future__ import annotations

from collections.abc import Sequence

from producers.orders import names
from producers.orders.message import Field, Segment
from producers.orders.order import SHORT_MAX, TEXT_MAX, VALUES_MAX

_Texts = dict[str, str | list[str]]


def of_procedure(orc: Segment, obr: Segment, notes: Sequence[str]) -> _Texts:
    """Of the imaging service request and the requested procedure."""
    procedure = names.code(_first(obr, 44)) or names.code(_first(obr, 4))
    comments = "; ".join(text for text in (obr.text(13), *notes) if text)
    said: _Texts = {
        "PlacerOrderNumberImagingServiceRequest": names.plain(orc.text(2)),
        "FillerOrderNumberImagingServiceRequest": names.plain(orc.text(3)),
        "RequestingPhysician": names.person(obr.repeats(16) or orc.repeats(12), first=2),
        "RequestingService": names.cut(orc.text(17, 2) or orc.text(17)),
        "RequestedProcedureCodeSequence": procedure,
        "RequestedProcedureDescription": procedure[2] if procedure else names.cut(obr.text(4, 2)),
        "ReasonForTheRequestedProcedure": names.cut(obr.text(31, 2) or obr.text(31)),
        "PatientTransportArrangements": names.cut(obr.text(30)),
        "MedicalAlerts": names.cut(obr.text(12, 2) or obr.text(12)),
        "RequestedProcedureComments": names.cut(comments, TEXT_MAX),
    }
    return {keyword: value for keyword, value in said.items() if value}


def of_step(obr: Segment, ipc: Segment | None, step_id: str) -> _Texts:
    """Of one scheduled procedure step; `ipc` is its own segment, where the message has one."""
    protocols = [names.code(one) for one in ipc.repeats(6)] if ipc else [names.code(_first(obr, 4), first=4)]
    codes = [text for one in protocols for text in one][:VALUES_MAX]
    said: _Texts = {
        "ScheduledProcedureStepID": step_id,
        "ScheduledProcedureStepDescription": codes[2] if codes else names.cut(obr.text(4, 2)),
        "ScheduledProtocolCodeSequence": codes,
        "ScheduledPerformingPhysicianName": _technician(obr),
        "ScheduledStationName": names.cut(ipc.text(7), SHORT_MAX) if ipc else "",
        "ScheduledProcedureStepLocation": names.cut(ipc.text(8, 2) or ipc.text(8), SHORT_MAX) if ipc else "",
    }
    return {keyword: value for keyword, value in said.items() if value}


def _first(segment: Segment, number: int) -> Field:
    found = segment.repeats(number)
    return found[0] if found else Field()


def _technician(obr: Segment) -> str:
    """NDL: its first component is a name in parts: number, family, given, middle, suffix, prefix."""
    parts = _first(obr, 34).components
    return names.person([Field(tuple((part,) for part in parts[0]))], first=2) if parts and len(parts[0]) > 1 else ""
