"""What N-CREATE and N-SET of a performed procedure step must and may say (PS3.4 table F.7.2-1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

from pydicom.dataset import Dataset

from streams.events import PerformedSeries
from streams.identity import uid_is_usable

INVALID_VALUE, MISSING_ATTRIBUTE, MISSING_VALUE = 0x0106, 0x0120, 0x0121

STATUSES: Final = {"IN PROGRESS": "in_progress", "COMPLETED": "completed", "DISCONTINUED": "discontinued"}
_SCHEDULED, _SERIES = "ScheduledStepAttributesSequence", "PerformedSeriesSequence"
_TYPE_1: Final = (
    *("PerformedProcedureStepID", "PerformedStationAETitle", "PerformedProcedureStepStartDate"),
    *("PerformedProcedureStepStartTime", "PerformedProcedureStepStatus", "Modality", _SCHEDULED),
)
# Type 1 once the step is final.
_ENDED: Final = ("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime")
_OF_SERIES: Final = ("SeriesInstanceUID", "ProtocolName")
# Of the step's relation to its order and patient, which N-SET may not touch.
NOT_SET: Final = (
    *(_SCHEDULED, "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("ReferencedPatientSequence", "PerformedProcedureStepID", "PerformedStationAETitle", "Modality", "StudyID"),
    *("PerformedStationName", "PerformedLocation", "PerformedProcedureStepStartDate"),
    "PerformedProcedureStepStartTime",
)


@dataclass(frozen=True)
class Refusal:
    """`comment` names attributes, and never their values."""

    status: int
    comment: str


def refuse_create(said: Dataset) -> Refusal | None:
    """Why an N-CREATE is refused, or None."""
    if refused := _missing(said, _TYPE_1):
        return refused
    if said.PerformedProcedureStepStatus != "IN PROGRESS":
        return Refusal(INVALID_VALUE, "a step is created with status IN PROGRESS")
    if not all(uid_is_usable(str(item.get("StudyInstanceUID", ""))) for item in items(said, _SCHEDULED)):
        return Refusal(MISSING_VALUE, "a scheduled step has no Study Instance UID")
    return None


def refuse_set(said: Dataset, has_series: bool) -> Refusal | None:
    """Why an N-SET of a step in progress is refused, or None. `has_series`: an earlier one told what was made."""
    status = str(said.get("PerformedProcedureStepStatus") or "IN PROGRESS")
    if status not in STATUSES:
        return Refusal(INVALID_VALUE, "Performed Procedure Step Status is none of table F.7.2-1")
    if status == "IN PROGRESS":
        return None
    # Nothing need have been made of what was discontinued.
    needed = _ENDED if status == "DISCONTINUED" or (has_series and _SERIES not in said) else (*_ENDED, _SERIES)
    if refused := _missing(said, needed):
        return refused
    return next((refused for one in items(said, _SERIES) if (refused := _missing(one, _OF_SERIES))), None)


def _missing(said: Dataset, keywords: tuple[str, ...]) -> Refusal | None:
    for keyword in keywords:
        if keyword not in said:
            return Refusal(MISSING_ATTRIBUTE, f"there is no {keyword}")
        if said[keyword].is_empty:
            return Refusal(MISSING_VALUE, f"{keyword} is empty")
    return None


def items(said: Dataset, keyword: str) -> Iterator[Dataset]:
    """The items of a sequence; none where it is absent, or no sequence."""
    if keyword in said and said[keyword].VR == "SQ":
        yield from said[keyword].value or ()


def study_uids(said: Dataset) -> tuple[str, ...]:
    """Each study that a step is for, once."""
    return tuple(dict.fromkeys(str(item.get("StudyInstanceUID", "")) for item in items(said, _SCHEDULED)))


def series(said: Dataset) -> tuple[PerformedSeries, ...]:
    lists = ("ReferencedImageSequence", "ReferencedNonImageCompositeSOPInstanceSequence")
    return tuple(
        PerformedSeries(
            series_uid=str(one.SeriesInstanceUID), instances=sum(len(list(items(one, name))) for name in lists)
        )
        for one in items(said, _SERIES)
        if uid_is_usable(str(one.get("SeriesInstanceUID", "")))
    )


def settable(said: Dataset) -> Dataset:
    """Without what N-SET may not touch."""
    kept = cast(Any, Dataset())
    for element in said:
        if element.keyword not in NOT_SET:
            kept[element.tag] = element
    made: Dataset = kept
    return made
