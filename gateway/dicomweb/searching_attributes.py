"""The attributes that are matched and returned, and where each is in the catalog (PS3.18 sections 10.6.1 and 10.6.3).

In the SQL, `s` is a row of study_summaries, `e` of series_summaries, and `i` of served_instances.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import Final

from pydicom.datadict import dictionary_VR, tag_for_keyword


class Level(IntEnum):
    STUDY = 1
    SERIES = 2
    INSTANCE = 3


class Kind(Enum):
    """How a value is matched (PS3.4 section C.2.2.2)."""

    TEXT = "text"
    TEXTS = "several texts, with backslashes between"
    NAME = "folded person names"
    UID = "uid"
    LIST = "array of texts"
    DATE = "YYYYMMDD"
    TIME = "HHMMSS.FFFFFF"
    NUMBER = "number"
    ITEMS = "values of items, in the order of ITEM_KEYWORDS, with backslashes between"


@dataclass(frozen=True)
class Attribute:
    """`sql` is what is matched; `column` what is returned, None where it is in the row's attributes.

    `field` is the letter of `consumers.catalog.names.terms`, where values have terms in the index; `indexed` is an
    expression of the beginning of the value that has an index. `always`: returned also where nobody asks.
    """

    keyword: str
    level: Level
    kind: Kind
    sql: str
    column: str | None = None
    always: bool = False
    field: str | None = None
    indexed: str | None = None

    @property
    def tag(self) -> str:
        """Eight hexadecimal digits."""
        return f"{_number(self.keyword):08X}"

    @property
    def vr(self) -> str:
        return dictionary_VR(_number(self.keyword))


def _number(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise LookupError(keyword)
    return tag


_ALIAS: Final = {Level.STUDY: "s", Level.SERIES: "e"}
_FORMS: Final = {Kind.NAME, Kind.DATE, Kind.TIME}


def _said(level: Level, kind: Kind, keywords: str, *, always: bool = False) -> Iterator[Attribute]:
    """Attributes out of protected blocks; what names, dates and times are matched as is beside them."""
    for keyword in keywords.split():
        name = f"~{keyword}" if kind in _FORMS else keyword
        yield Attribute(keyword, level, kind, f"{_ALIAS[level]}.attributes->>'{name}'", always=always)


def _column(level: Level, kind: Kind, keyword: str, column: str, *, always: bool = False) -> Attribute:
    return Attribute(keyword, level, kind, column, column, always=always)


_STUDY: Final = (
    *_said(Level.STUDY, Kind.TEXT, "PatientSex StudyID", always=True),
    *_said(Level.STUDY, Kind.DATE, "StudyDate PatientBirthDate", always=True),
    *_said(Level.STUDY, Kind.TEXT, "IssuerOfPatientID PatientAge"),
    *_said(Level.STUDY, Kind.TEXTS, "OtherPatientIDs"),
    *_said(Level.STUDY, Kind.NAME, "OtherPatientNames"),
    Attribute("StudyTime", Level.STUDY, Kind.TIME, "s.study_time", always=True),
    Attribute("PatientName", Level.STUDY, Kind.NAME, "s.patient_name", always=True, field="n"),
    Attribute("ReferringPhysicianName", Level.STUDY, Kind.NAME, "s.referring_physician", always=True, field="r"),
    Attribute("StudyDescription", Level.STUDY, Kind.TEXT, "s.description", always=True, field="d"),
    Attribute("PatientID", Level.STUDY, Kind.TEXT, "s.patient_id", always=True, indexed="left(s.patient_id, 64)"),
    Attribute(
        "AccessionNumber",
        Level.STUDY,
        Kind.TEXT,
        "s.accession_number",
        always=True,
        indexed="left(s.accession_number, 64)",
    ),
    _column(Level.STUDY, Kind.UID, "StudyInstanceUID", "s.study_uid", always=True),
    _column(Level.STUDY, Kind.LIST, "ModalitiesInStudy", "s.modalities", always=True),
    _column(Level.STUDY, Kind.LIST, "SOPClassesInStudy", "s.sop_classes"),
    _column(Level.STUDY, Kind.NUMBER, "NumberOfStudyRelatedSeries", "s.series", always=True),
    _column(Level.STUDY, Kind.NUMBER, "NumberOfStudyRelatedInstances", "s.instances", always=True),
    _column(Level.STUDY, Kind.TEXT, "InstanceAvailability", "s.availability", always=True),
)
_SERIES: Final = (
    *_said(Level.SERIES, Kind.TEXT, "SeriesDescription BodyPartExamined", always=True),
    *_said(Level.SERIES, Kind.TEXT, "InstitutionName StationName ProtocolName"),
    *_said(Level.SERIES, Kind.NAME, "PerformingPhysicianName"),
    *_said(Level.SERIES, Kind.DATE, "SeriesDate PerformedProcedureStepStartDate", always=True),
    *_said(Level.SERIES, Kind.TIME, "SeriesTime PerformedProcedureStepStartTime", always=True),
    *_said(Level.SERIES, Kind.ITEMS, "RequestAttributesSequence", always=True),
    _column(Level.SERIES, Kind.TEXT, "Modality", "e.modality", always=True),
    _column(Level.SERIES, Kind.NUMBER, "SeriesNumber", "e.series_number", always=True),
    _column(Level.SERIES, Kind.UID, "SeriesInstanceUID", "e.series_uid", always=True),
    _column(Level.SERIES, Kind.NUMBER, "NumberOfSeriesRelatedInstances", "e.instances", always=True),
)
_INSTANCE: Final = (
    _column(Level.INSTANCE, Kind.UID, "SOPClassUID", "i.sop_class_uid", always=True),
    _column(Level.INSTANCE, Kind.UID, "SOPInstanceUID", "i.sop_instance_uid", always=True),
    _column(Level.INSTANCE, Kind.NUMBER, "InstanceNumber", "i.instance_number", always=True),
    _column(Level.INSTANCE, Kind.NUMBER, "Rows", "i.rows", always=True),
    _column(Level.INSTANCE, Kind.NUMBER, "Columns", "i.columns", always=True),
    _column(Level.INSTANCE, Kind.NUMBER, "BitsAllocated", "i.bits_allocated", always=True),
    _column(Level.INSTANCE, Kind.NUMBER, "NumberOfFrames", "i.frames", always=True),
    _column(Level.INSTANCE, Kind.NUMBER, "BitsStored", "i.bits_stored"),
    _column(Level.INSTANCE, Kind.NUMBER, "PixelRepresentation", "i.pixel_representation"),
    _column(Level.INSTANCE, Kind.NUMBER, "SamplesPerPixel", "i.samples_per_pixel"),
    _column(Level.INSTANCE, Kind.TEXT, "PhotometricInterpretation", "i.photometric"),
    _column(Level.INSTANCE, Kind.UID, "AvailableTransferSyntaxUID", "i.transfer_syntax_uid", always=True),
)

# What is known of each item of the Request Attributes Sequence.
ITEM_KEYWORDS: Final = ("ScheduledProcedureStepID", "RequestedProcedureID")
# In the order of tags, as DICOM JSON wants them (PS3.18 section F.2.2).
ATTRIBUTES: Final = tuple(sorted((*_STUDY, *_SERIES, *_INSTANCE), key=lambda attribute: attribute.tag))
BY_KEYWORD: Final = {attribute.keyword: attribute for attribute in ATTRIBUTES}
# Study and series belong to whatever is below them: they are returned there too.
IDENTITY: Final = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
