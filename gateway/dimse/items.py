"""Rows of the catalog as response identifiers, with every attribute that is supported (PS3.4 section C.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from gateway.dimse.models import Level
from gateway.dimse.rows import Instance, Patient, Series, Study, Sums

RETRIEVE_AE, AVAILABILITY = "RetrieveAETitle", "InstanceAvailability"
OF_PATIENT_SUMS: Final = (
    "NumberOfPatientRelatedStudies",
    "NumberOfPatientRelatedSeries",
    "NumberOfPatientRelatedInstances",
)
OF_STUDY_SUMS: Final = (
    *("ModalitiesInStudy", "SOPClassesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances"),
)
OF_SERIES_SUMS: Final = ("NumberOfSeriesRelatedInstances",)
_STUDY_BLOCK: Final = ("OtherPatientNames", "PatientAge")
_SERIES_BLOCK: Final = (
    *("SeriesDate", "SeriesTime", "InstitutionName", "StationName", "PerformingPhysicianName", "ProtocolName"),
)
# Encoded in ASCII whatever the character set is; what a sender put there otherwise is nothing that could be told.
_ASCII: Final = frozenset(("AE", "AS", "CS", "DA", "DS", "IS", "TM", "UI"))
_INTEGER_STRING_MAX: Final = 2**31


def put(item: Dataset, keyword: str, value: Any) -> None:
    """As the catalog has it: senders keep to no value representation, and pydicom would quote what it warns about."""
    tag = tag_for_keyword(keyword)
    assert tag is not None  # noqa: S101 - keywords here are the standard's
    vr = dictionary_VR(tag)
    if vr in _ASCII and isinstance(value, str) and not value.isascii():
        value = None
    if vr == "IS" and isinstance(value, int) and not -_INTEGER_STRING_MAX <= value < _INTEGER_STRING_MAX:
        value = None
    item[tag] = DataElement(tag, vr, value if value != "" else None, validation_mode=IGNORE)


def frame(level: Level, ae_title: str) -> Dataset:
    """What every response has (section C.4.1.1.3.2)."""
    item = Dataset()
    put(item, "QueryRetrieveLevel", level)
    put(item, RETRIEVE_AE, ae_title)
    return item


def of_patient(patient: Patient) -> Dataset:
    item = Dataset()
    put(item, "PatientName", patient.name)
    put(item, "PatientID", patient.patient_id)
    put(item, "IssuerOfPatientID", patient.issuer)
    put(item, "PatientBirthDate", patient.birth_date)
    put(item, "PatientSex", patient.sex)
    return item


def of_study(study: Study) -> Dataset:
    """Of a study from outside: patient and accession number are those that a person gave it here."""
    said = study.attributes
    item = Dataset()
    put(item, "StudyInstanceUID", study.study_uid)
    put(item, "StudyDate", f"{study.study_date:%Y%m%d}" if study.study_date else None)
    put(item, "StudyTime", study.study_time)
    put(item, "StudyID", study.study_id)
    put(item, "StudyDescription", study.description)
    put(item, "ReferringPhysicianName", study.referring_physician)
    here = (study.patient_name, study.patient_id, study.patient_issuer, study.birth_date, study.sex)
    keywords = ("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex")
    for keyword, local in zip(keywords, here, strict=True):
        put(item, keyword, local if study.reconciled else said.get(keyword))
    put(item, "AccessionNumber", study.local_accession if study.reconciled else study.accession_number)
    # A patient has other IDs elsewhere; which of them are ours nobody has said.
    put(item, "OtherPatientIDs", None if study.reconciled else said.get("OtherPatientIDs"))
    for keyword in _STUDY_BLOCK:
        put(item, keyword, said.get(keyword))
    return item


def of_series(series: Series) -> Dataset:
    item = Dataset()
    put(item, "SeriesInstanceUID", series.series_uid)
    put(item, "Modality", series.modality)
    put(item, "SeriesNumber", series.series_number)
    put(item, "SeriesDescription", series.description)
    put(item, "BodyPartExamined", series.body_part)
    for keyword in _SERIES_BLOCK:
        put(item, keyword, series.attributes.get(keyword))
    return item


def of_instance(instance: Instance) -> Dataset:
    item = Dataset()
    put(item, "SOPInstanceUID", instance.sop_instance_uid)
    put(item, "SOPClassUID", instance.sop_class_uid)
    put(item, "AvailableTransferSyntaxUID", instance.transfer_syntax_uid)
    put(item, "InstanceNumber", instance.instance_number)
    put(item, "Rows", instance.rows)
    put(item, "Columns", instance.columns)
    put(item, "NumberOfFrames", instance.frames)
    put(item, "BitsAllocated", instance.bits_allocated)
    return item


def add(item: Dataset, values: Mapping[str, Any]) -> None:
    for keyword, value in values.items():
        put(item, keyword, value)


def study_sums(sums: Sums) -> dict[str, Any]:
    said = (list(sums.modalities), list(sums.sop_classes), sums.series, sums.instances)
    return dict(zip(OF_STUDY_SUMS, said, strict=True))
