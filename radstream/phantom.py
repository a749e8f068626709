"""A generated chest CT study of three series, for the demo and for measuring: no person's images, no person's names.

The attributes are those that PS3.3 section A.3 asks of a CT image (Type 1 and 2 of its mandatory modules). Everything
follows from the seed and the sizes: the same ones make the same bytes, others make another study with other UIDs.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from radstream.items import Item
from radstream.phantom_anatomy import FIELD_OF_VIEW_MM, HEIGHT_MM
from radstream.phantom_encoding import Template
from radstream.phantom_pixels import AP, LATERAL, Pixels, Projection, level_of

# RFC 9562 section 5.5; PS3.5 annex B.2 makes a UID of each. Never changes: a seed names the same study for ever.
_NAMESPACE = uuid.UUID("0b8f4f0a-1d5e-5c55-9a7e-3d6c2f1e8b44")
# Raised with every change of the bytes: one SOP Instance UID never has two contents.
_VERSION = 3

Slices = tuple[int, int, int]


@dataclass(frozen=True)
class Series:
    number: int
    description: str
    kernel: str
    window: tuple[int, int]
    images: int

    @property
    def is_localiser(self) -> bool:
        return self.number == 1


@dataclass(frozen=True)
class Study:
    """Three series: localiser images, lung kernel, soft-tissue kernel. `slices` says how many images each has."""

    seed: int
    slices: Slices = (2, 64, 64)
    matrix: int = 512

    @property
    def series(self) -> tuple[Series, Series, Series]:
        localiser, lung, soft = self.slices
        return (
            Series(1, "Localiser", "LOC", (-450, 1000), localiser),
            Series(2, "Chest lung kernel", "LUNG", (-600, 1500), lung),
            Series(3, "Chest soft tissue kernel", "SOFT", (40, 400), soft),
        )

    @property
    def uid(self) -> str:
        """Study Instance UID (0020,000D)."""
        return self.uid_of("study")

    def uid_of(self, *parts: object) -> str:
        name = "/".join(map(str, (_VERSION, self.seed, *self.slices, self.matrix, *parts)))
        return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"


def chest_ct(seed: int, slices: Slices = (2, 64, 64), matrix: int = 512) -> Iterator[Dataset]:
    """The study's images with their file meta information, series by series."""
    study = Study(seed, slices, matrix)
    pixels = Pixels(seed, matrix)
    for series in study.series:
        for index in range(series.images):
            dataset = _image(study, series, index)
            dataset.PixelData = _stored(pixels, series, index)
            yield dataset


def encoded(seed: int, slices: Slices = (2, 64, 64), matrix: int = 512) -> Iterator[Item]:
    """The same study, ready to be sent: what does not change from image to image is encoded once for each series."""
    study = Study(seed, slices, matrix)
    pixels = Pixels(seed, matrix)
    for series in (one for one in study.series if one.images):
        template = Template(_image(study, series, 0))
        for index in range(series.images):
            if series.is_localiser:
                template = Template(_image(study, series, index))
            yield Item(
                name=f"phantom {seed}, {series.description}, image {index + 1}",
                sop_class=CTImageStorage,
                sop_instance=_sop_instance(study, series, index),
                transfer_syntax=ExplicitVRLittleEndian,
                data_set=partial(_encoded, template, study, series, index, pixels),
            )


def _encoded(template: Template, study: Study, series: Series, index: int, pixels: Pixels) -> bytes:
    return template.fill(
        sop_instance=_sop_instance(study, series, index),
        instance_number=index + 1,
        position=_position(study, series, index),
        location=_location(series, index),
        pixels=_stored(pixels, series, index),
    )


def _stored(pixels: Pixels, series: Series, index: int) -> bytes:
    if series.is_localiser:
        return pixels.localiser(_projection(index), index)
    return pixels.section(series.kernel, index, series.images)


def _sop_instance(study: Study, series: Series, index: int) -> str:
    return study.uid_of(series.number, index)


def _projection(index: int) -> Projection:
    return AP if index % 2 == 0 else LATERAL


def _location(series: Series, index: int) -> float:
    """Slice Location (0020,1041) in mm: to the head is up, the top of the lungs is 0."""
    return 0.0 if series.is_localiser else round(-level_of(index, series.images) * HEIGHT_MM, 3)


def _position(study: Study, series: Series, index: int) -> tuple[float, float, float]:
    """Image Position (Patient) (0020,0032): the centre of the first pixel."""
    edge = round(-FIELD_OF_VIEW_MM / 2 + FIELD_OF_VIEW_MM / study.matrix / 2, 3)
    if series.is_localiser:
        return (edge, 0.0, 0.0) if _projection(index) is AP else (0.0, edge, 0.0)
    return (edge, edge, _location(series, index))


def _image(study: Study, series: Series, index: int) -> Dataset:
    """All attributes but Pixel Data (7FE0,0010)."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(_sop_instance(study, series, index))
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    _study_level(dataset, study)
    _series_level(dataset, study, series)
    _plane(dataset, study, series, index)
    _ct(dataset, study, series)
    return dataset


def _study_level(dataset: Dataset, study: Study) -> None:
    """Patient, General Study, Frame of Reference and General Equipment modules (PS3.3 C.7.1 to C.7.5)."""
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName = "PHANTOM^CHEST"
    dataset.PatientID = f"PHANTOM-{study.seed}"
    dataset.PatientBirthDate = ""
    dataset.PatientSex = "O"
    dataset.StudyInstanceUID = study.uid
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20260105"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = "080000"
    dataset.StudyDescription = "Generated chest CT"
    dataset.StudyID = "1"
    dataset.AccessionNumber = ""
    dataset.ReferringPhysicianName = ""
    dataset.FrameOfReferenceUID = study.uid_of("frame of reference")
    dataset.PositionReferenceIndicator = ""
    dataset.Manufacturer = "radstream"
    dataset.ManufacturerModelName = "phantom"


def _series_level(dataset: Dataset, study: Study, series: Series) -> None:
    """General Series module (PS3.3 C.7.3.1)."""
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = study.uid_of(series.number)
    dataset.SeriesNumber = series.number
    dataset.SeriesDescription = series.description
    dataset.BodyPartExamined = "CHEST"
    dataset.PatientPosition = "HFS"


def _plane(dataset: Dataset, study: Study, series: Series, index: int) -> None:
    """SOP Common, General Image and Image Plane modules (PS3.3 C.12.1, C.7.6.1, C.7.6.2)."""
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = _sop_instance(study, series, index)
    dataset.InstanceNumber = index + 1
    dataset.ImagePositionPatient = list(_position(study, series, index))
    dataset.SliceLocation = _location(series, index)
    across = round(FIELD_OF_VIEW_MM / study.matrix, 6)
    if series.is_localiser:
        along = [1, 0, 0] if _projection(index) is AP else [0, 1, 0]
        dataset.ImageOrientationPatient = [*along, 0, 0, -1]
        dataset.PixelSpacing = [round(HEIGHT_MM / study.matrix, 6), across]
        dataset.SliceThickness = FIELD_OF_VIEW_MM
    else:
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing = [across, across]
        dataset.SliceThickness = round(HEIGHT_MM / series.images, 3)


def _ct(dataset: Dataset, study: Study, series: Series) -> None:
    """Image Pixel, CT Image and VOI LUT modules (PS3.3 C.7.6.3, C.8.2.1, C.11.2)."""
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER" if series.is_localiser else "AXIAL"]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = dataset.Columns = study.matrix
    dataset.BitsAllocated = 16
    dataset.BitsStored = 12
    dataset.HighBit = 11
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept = -1024
    dataset.RescaleSlope = 1
    if not series.is_localiser:
        dataset.RescaleType = "HU"
    dataset.KVP = 120
    dataset.AcquisitionNumber = series.number
    dataset.ConvolutionKernel = series.kernel
    dataset.WindowCenter, dataset.WindowWidth = series.window
