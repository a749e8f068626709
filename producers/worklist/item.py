"""A scheduled step as a worklist item, with every attribute that is supported (PS3.4 table K.6-1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from consumers.catalog.worklist import Scheduled
from producers.orders.order import SHORT_MAX, codes

# Texts by keyword, as an order states them.
_WHOLE: Final = (
    *("AccessionNumber", "ReferringPhysicianName", "PatientName", "PatientID", "IssuerOfPatientID"),
    *("OtherPatientIDs", "PatientBirthDate", "PatientSex", "PatientWeight", "MedicalAlerts", "Allergies"),
    *("SpecialNeeds", "PatientState", "ConfidentialityConstraintOnPatientDataDescription", "AdmissionID"),
    *("CurrentPatientLocation", "RequestingPhysician", "RequestingService", "RequestedProcedureID"),
    *("RequestedProcedureDescription", "ReasonForTheRequestedProcedure", "RequestedProcedureComments"),
    *("PatientTransportArrangements", "PlacerOrderNumberImagingServiceRequest"),
    *("FillerOrderNumberImagingServiceRequest", "PregnancyStatus"),
)
_STEP: Final = (
    *("ScheduledProcedureStepID", "ScheduledProcedureStepDescription", "ScheduledPerformingPhysicianName"),
    *("ScheduledStationName", "ScheduledProcedureStepLocation", "PreMedication", "RequestedContrastAgent"),
    "CommentsOnTheScheduledProcedureStep",
)
_CONVERT: Final[Mapping[str, Callable[[str], Any]]] = {"PregnancyStatus": int}
_STATUS: Final = {None: "SCHEDULED", "in_progress": "STARTED", "discontinued": "SCHEDULED", "completed": "COMPLETED"}


def item_of(scheduled: Scheduled) -> Dataset:
    """All that can be returned; what nobody said is there and empty."""
    said = scheduled.order
    item = _texts(said, _WHOLE)
    item.StudyInstanceUID = scheduled.study_uid
    item.RequestedProcedurePriority = scheduled.priority.upper() if scheduled.priority != "other" else ""
    item.RequestedProcedureCodeSequence = coded(said.get("RequestedProcedureCodeSequence"))
    item.ReferencedStudySequence = Sequence()
    item.ReferencedPatientSequence = Sequence()
    item.IssuerOfAccessionNumberSequence = _issuer(said.get("IssuerOfAccessionNumber"))
    item.ScheduledProcedureStepSequence = Sequence([_step(scheduled)])
    return item


def _step(scheduled: Scheduled) -> Dataset:
    step = _texts(scheduled.step, _STEP)
    step.Modality = scheduled.modality or ""
    step.ScheduledStationAETitle = scheduled.station_aes
    step.ScheduledProcedureStepStartDate = f"{scheduled.start_date:%Y%m%d}"
    step.ScheduledProcedureStepStartTime = scheduled.start_time or ""
    step.ScheduledProtocolCodeSequence = coded(scheduled.step.get("ScheduledProtocolCodeSequence"))
    step.ScheduledProcedureStepStatus = _STATUS.get(scheduled.performed, "SCHEDULED")
    return step


def _texts(said: Mapping[str, Any], keywords: tuple[str, ...]) -> Dataset:
    made = Dataset()
    for keyword in keywords:
        value = said.get(keyword)
        setattr(made, keyword, _CONVERT[keyword](value) if value and keyword in _CONVERT else value or None)
    return made


def coded(value: str | list[str] | None) -> Sequence:
    """Code Sequence Macro (PS3.3 table 8.8-1); a value that is too long for one has an attribute of its own."""
    items = []
    for code, scheme, meaning in codes(value or []):
        one = Dataset()
        setattr(one, "CodeValue" if len(code) <= SHORT_MAX else "LongCodeValue", code)
        one.CodingSchemeDesignator = scheme
        one.CodeMeaning = meaning
        items.append(one)
    return Sequence(items)


def _issuer(namespace: str | None) -> Sequence:
    if not namespace:
        return Sequence()
    one = Dataset()
    one.LocalNamespaceEntityID = namespace
    return Sequence([one])
