"""The performed step of an import: what was imported, and for which order, as a scanner would say it (IHE IRWF.b)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final, Literal

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from consumers.catalog.imports import Imported
from consumers.catalog.orders import WholeOrder
from producers.worklist.attribute_list import series, study_uids
from producers.worklist.item import coded
from radstream.import_identity import Identity
from streams.attribute_lists import AttributeList, written
from streams.events import ImportDecision, Meta, MppsEvent
from streams.generation import of_facts
from streams.identity import event_id, uid_of_event
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.protected import ProtectedBlocks
from streams.terms import MODALITIES

STEP = "import"
# What is done in each step, whatever was scheduled (PS3.16 CID 9231).
MEDIA_IMPORT: Final = ("110013", "DCM", "Media Import")
# Required, and perhaps empty, when a step is created (PS3.4 table F.7.2-1, type 2).
_EMPTY = (
    *("PerformedStationName", "PerformedLocation", "PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime"),
    *("StudyID", "PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
)
_NO_ITEMS = ("PerformedSeriesSequence", "ReferencedPatientSequence")
_OF_PATIENT = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")


def performed_steps(
    decision: ImportDecision,
    identity: Identity,
    order: WholeOrder | None,
    instances: Sequence[Imported],
    blocks: ProtectedBlocks,
    station_ae: str,
    at: datetime,
) -> list[MppsEvent]:
    """N-CREATE and N-SET, as a scanner would send them. `instances` are in the order of their series; `at` is local.

    `order` is the one for the import: the step is of all that it has scheduled, and of its procedure.

    Raises StoreAway, Damaged, Unwritable.
    """
    modality = next((one.modality for one in instances if one.modality), "OT")
    created = _created(decision.study_uid, identity, order, modality, station_ae, at)
    created.PerformedProcedureStepID = decision.meta.event_id.replace("-", "")[:16]
    said: list[tuple[Literal["created", "set"], Literal["in_progress", "completed"], Dataset]]
    said = [("created", "in_progress", created), ("set", "completed", _completed(instances, at))]
    mpps_uid = uid_of_event(decision.meta.event_id)
    return [_event(decision, mpps_uid, action, status, data, blocks, station_ae) for action, status, data in said]


def _created(
    study_uid: str, identity: Identity, order: WholeOrder | None, modality: str, station_ae: str, at: datetime
) -> Any:
    said: Any = Dataset()
    said.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _EMPTY:
        setattr(said, keyword, "")
    for keyword in _NO_ITEMS:
        setattr(said, keyword, Items())
    for keyword in _OF_PATIENT:
        if keyword in identity.texts:
            setattr(said, keyword, identity.texts[keyword])
    procedure = (order.order.attributes if order else None) or {}
    said.ProcedureCodeSequence = coded(procedure.get("RequestedProcedureCodeSequence"))
    said.PerformedProtocolCodeSequence = coded(list(MEDIA_IMPORT))
    steps: Sequence[Mapping[str, Any]] = order.steps if order and order.steps else [{}]
    said.ScheduledStepAttributesSequence = Items([_scheduled(study_uid, identity, procedure, one) for one in steps])
    said.PerformedStationAETitle, said.Modality = station_ae, modality
    said.PerformedProcedureStepStartDate, said.PerformedProcedureStepStartTime = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    said.PerformedProcedureStepStatus = "IN PROGRESS"
    said.PerformedProcedureStepDescription = said.PerformedProcedureTypeDescription = "Import"
    return said


def _scheduled(study_uid: str, identity: Identity, procedure: Mapping[str, Any], step: Mapping[str, Any]) -> Dataset:
    """An item for a scheduled step, or for none: then it says whose study and order it is."""
    words: Mapping[str, Any] = step.get("attributes") or {}
    item: Any = Dataset()
    item.StudyInstanceUID, item.ReferencedStudySequence = study_uid, Items()
    item.AccessionNumber = identity.texts.get("AccessionNumber", "")
    item.RequestedProcedureID = identity.texts.get("RequestedProcedureID", "")
    item.RequestedProcedureDescription = procedure.get("RequestedProcedureDescription", "")
    item.ScheduledProcedureStepID = step.get("step_id") or ""
    item.ScheduledProcedureStepDescription = words.get("ScheduledProcedureStepDescription", "")
    item.ScheduledProtocolCodeSequence = coded(words.get("ScheduledProtocolCodeSequence"))
    made: Dataset = item
    return made


def _completed(instances: Sequence[Imported], at: datetime) -> Dataset:
    said: Any = Dataset()
    said.PerformedProcedureStepStatus = "COMPLETED"
    said.PerformedProcedureStepEndDate, said.PerformedProcedureStepEndTime = f"{at:%Y%m%d}", f"{at:%H%M%S}"
    by_series = groupby(instances, lambda one: one.series_uid)
    said.PerformedSeriesSequence = Items([_series(uid, list(found)) for uid, found in by_series])
    made: Dataset = said
    return made


def _series(series_uid: str, instances: Sequence[Imported]) -> Dataset:
    said: Any = Dataset()
    said.SeriesInstanceUID, said.ProtocolName = series_uid, "Import"
    said.RetrieveAETitle = said.SeriesDescription = said.PerformingPhysicianName = said.OperatorsName = ""
    said.ReferencedImageSequence = Items([_reference(one) for one in instances])
    said.ReferencedNonImageCompositeSOPInstanceSequence = Items()
    made: Dataset = said
    return made


def _reference(instance: Imported) -> Dataset:
    said: Any = Dataset()
    said.ReferencedSOPClassUID, said.ReferencedSOPInstanceUID = instance.sop_class_uid, instance.sop_instance_uid
    made: Dataset = said
    return made


def _event(
    decision: ImportDecision,
    mpps_uid: str,
    action: Literal["created", "set"],
    status: Literal["in_progress", "completed"],
    said: Dataset,
    blocks: ProtectedBlocks,
    station_ae: str,
) -> MppsEvent:
    of, subject = decision.meta, f"{mpps_uid}/{action}"
    encoded = AttributeList(EXPLICIT_VR_LITTLE_ENDIAN, written(said, EXPLICIT_VR_LITTLE_ENDIAN))
    modality = str(said.get("Modality") or "")
    return MppsEvent(
        meta=Meta(
            event_id=event_id(of.tenant, STEP, subject, 0, 0),
            tenant=of.tenant,
            site=of.site,
            lane=of.lane,
            subject=subject,
            occurred_at=of.occurred_at,
        ),
        provenance=of_facts(STEP).provenance(),
        mpps_uid=mpps_uid,
        action=action,
        status=status,
        calling_ae=station_ae,
        block=blocks.put_part("performed", mpps_uid, encoded.of_block(said)),
        study_uids=study_uids(said),
        modality=modality if modality in MODALITIES else None,
        series=series(said),
    )
