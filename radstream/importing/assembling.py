"""An object whole: what its format gave, what a person said, and identities that are the same each time.

Whoever imports a file again, with the same words, makes the same objects to the byte: the router then knows them
(promise 3: once, however often). With other words they are other objects, with other UIDs.
"""

from __future__ import annotations

import re
import uuid
from typing import Final

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from radstream.importing.made import Made, Source
from radstream.importing.said import Said
from radstream.importing.writing import encoded
from streams.identity import EVENT_NAMESPACE

_EMPTY: Final = (
    ("PatientBirthDate", ""),
    ("PatientSex", ""),
    ("StudyTime", ""),
    ("StudyID", ""),
    ("AccessionNumber", ""),
    ("ReferringPhysicianName", ""),
    ("SeriesNumber", None),
    ("Manufacturer", ""),
    ("PatientOrientation", ""),
    ("Laterality", ""),
)
# UIDs that a format's reader leaves open: the objects of a file have them in common.
_OF_THE_FILE: Final = ("FrameOfReferenceUID", "PyramidUID")
_LAST_NUMBER: Final = re.compile(r"([0-9]{1,9})[^0-9]*\Z")


def assembled(made: Made, source: Source, said: Said) -> Dataset:
    """Everything but the pixels. `said` is checked and dated."""
    whole = Dataset()
    whole.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in _EMPTY:
        setattr(whole, keyword, value)
    whole.update(made.dataset)
    _dates(whole, source, said)
    whole.update(said.attributes)
    _drop_needless(whole)
    whole.Modality = source.modality
    if whole.get("InstanceNumber") is None:
        whole.InstanceNumber = _number(source, made)
    whole.ContributingEquipmentSequence = Sequence([_converter(source)])
    if "SpecimenDescriptionSequence" in whole and not whole.SpecimenDescriptionSequence:
        whole.SpecimenDescriptionSequence = Sequence([_specimen(str(whole.ContainerIdentifier))])
    _name(whole, made, source, said)
    return whole


def _drop_needless(whole: Dataset) -> None:
    """What is empty because something better is known."""
    if "ImageOrientationPatient" in whole:
        del whole.PatientOrientation
    # A side is said of images of the body (PS3.3 section C.7.3.1), not of what was taken out of it.
    if "ImageLaterality" in whole or "SpecimenDescriptionSequence" in whole:
        del whole.Laterality


def _dates(whole: Dataset, source: Source, said: Said) -> None:
    assert said.at is not None  # noqa: S101 - it is dated
    whole.StudyDate = said.at.strftime("%Y%m%d")
    if said.at_has_time:
        whole.StudyTime = said.at.strftime("%H%M%S")
    at = source.captured or said.at
    whole.SeriesDate = at.strftime("%Y%m%d")
    if source.captured or said.at_has_time:
        whole.ContentDate, whole.ContentTime = at.strftime("%Y%m%d"), at.strftime("%H%M%S")
    if source.captured or source.needs_time:
        whole.AcquisitionDateTime = at.strftime("%Y%m%d%H%M%S")


def _number(source: Source, made: Made) -> int:
    """Out of the file's name where it has one, so that the pictures of a folder keep their order, whatever is added."""
    found = _LAST_NUMBER.search(source.path.stem)
    own = int(made.part) - 1 if made.part.isdecimal() else 0
    return (int(found[1]) if found else 1) + own


def _converter(source: Source) -> Dataset:
    """PS3.3 section C.12.1.5: who made this object out of something else."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "109103", "DCM", "Modifying Equipment"
    made = Dataset()
    made.PurposeOfReferenceCodeSequence = Sequence([code])
    made.Manufacturer = "radstream"
    made.ManufacturerModelName = "radstream import"
    made.SoftwareVersions = source.code_version
    made.ContributionDescription = f"{source.format} file wrapped as DICOM"
    return made


def _specimen(container: str) -> Dataset:
    """The one specimen on a slide (PS3.3 section C.7.6.22), named as its slide is."""
    made = Dataset()
    made.SpecimenIdentifier = container
    made.SpecimenUID = _uid("specimen", container)
    made.IssuerOfTheSpecimenIdentifierSequence = []
    made.SpecimenPreparationSequence = []
    return made


def _name(whole: Dataset, made: Made, source: Source, said: Said) -> None:
    whole.StudyInstanceUID = said.study_uid or _uid(
        "study",
        *(str(whole.get(keyword, "")) for keyword in ("PatientID", "IssuerOfPatientID", "AccessionNumber")),
        *(str(whole.get(keyword, "")) for keyword in ("StudyDate", "StudyDescription")),
    )
    own = (source.digest,) if source.own_series else (str(whole.get("SeriesDescription", "")),)
    whole.SeriesInstanceUID = said.series_uid or _uid(
        "series", whole.StudyInstanceUID, str(source.modality), source.format, str(whole.SeriesDate), *own
    )
    for keyword in _OF_THE_FILE:
        if keyword in made.dataset:
            setattr(whole, keyword, _uid(keyword, whole.SeriesInstanceUID, source.digest))
    if "SOPInstanceUID" in whole:
        del whole.SOPInstanceUID
    if "DimensionOrganizationSequence" in made.dataset:
        whole.DimensionOrganizationSequence = Sequence([Dataset()])
        whole.DimensionOrganizationSequence[0].DimensionOrganizationUID = _uid("dimensions", whole.SeriesInstanceUID)
    content = uuid.uuid5(EVENT_NAMESPACE, encoded(whole).hex())
    whole.SOPInstanceUID = _uid("instance", source.code_version, source.digest, made.part, str(content))


def _uid(*parts: str) -> str:
    """PS3.5 section B.2."""
    return f"2.25.{uuid.uuid5(EVENT_NAMESPACE, chr(31).join(('import', *parts))).int}"
