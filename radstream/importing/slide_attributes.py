"""What every object of a whole slide says of slide, light and place (PS3.3 sections C.8.12 and C.7.6.22)."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import format_number_as_ds

from radstream.importing.picture_notes import moment

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.77.1.6"
_UNKNOWN = "unknown"


@dataclass(frozen=True)
class Matrix:
    """The whole picture that the tiles make up. Rows before columns: extents and spacings too, in mm."""

    kind: tuple[str, str, str, str]
    rows: int
    columns: int
    extent_mm: tuple[float, float]
    spacing_mm: tuple[float, float]


def microscopy(matrix: Matrix, vendor: str | None, profile: bytes) -> Dataset:
    """`vendor` as OpenSlide calls the scanner's; nothing else that the file says is taken, as it could name people."""
    made = Dataset()
    made.SOPClassUID = SOP_CLASS
    made.ImageType = list(matrix.kind)
    _equipment(made, vendor)
    made.FrameOfReferenceUID = made.PyramidUID = ""
    if matrix.kind[2] != "VOLUME":
        del made.PyramidUID
    made.PositionReferenceIndicator = "SLIDE_CORNER"
    made.AcquisitionContextSequence = []
    made.AcquisitionDateTime = ""
    made.VolumetricProperties = "VOLUME"
    has_label = "YES" if matrix.kind[2] in ("LABEL", "OVERVIEW") else "NO"
    made.SpecimenLabelInImage = made.BurnedInAnnotation = has_label
    made.FocusMethod, made.ExtendedDepthOfField = "AUTO", "NO"
    _placed(made, matrix)
    _lit(made, profile)
    _specimen(made)
    if matrix.kind[2] == "LABEL":
        made.BarcodeValue = made.LabelText = ""
    return made


def scanned_at(properties: Mapping[str, str]) -> datetime | None:
    """`properties` are OpenSlide's; the scanner's local time."""
    if found := moment(properties.get("tiff.DateTime", "")):
        return found
    day, time = properties.get("aperio.Date", ""), properties.get("aperio.Time", "")
    for form in ("%m/%d/%y %H:%M:%S", "%m/%d/%Y %H:%M:%S"):
        with suppress(ValueError):
            return datetime.strptime(f"{day} {time}", form)  # noqa: DTZ007 - it says no zone
    return None


def _equipment(made: Dataset, vendor: str | None) -> None:
    """Enhanced General Equipment (PS3.3 section C.7.5.2) wants all four."""
    made.Manufacturer = vendor or _UNKNOWN
    made.ManufacturerModelName = _UNKNOWN
    made.DeviceSerialNumber = made.SoftwareVersions = _UNKNOWN


def _placed(made: Dataset, matrix: Matrix) -> None:
    """Rows go along X of the slide and columns against Y, as PS3.3 section C.8.12.2.1.1 draws a slide."""
    made.ImagedVolumeHeight, made.ImagedVolumeWidth = matrix.extent_mm
    made.ImagedVolumeDepth = 1.0
    made.TotalPixelMatrixRows, made.TotalPixelMatrixColumns = matrix.rows, matrix.columns
    made.TotalPixelMatrixFocalPlanes = 1
    made.NumberOfOpticalPaths = 1
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem = origin.YOffsetInSlideCoordinateSystem = "0"
    made.TotalPixelMatrixOriginSequence = Sequence([origin])
    made.ImageOrientationSlide = ["0", "-1", "0", "-1", "0", "0"]
    made.DimensionOrganizationType = "TILED_FULL"
    made.DimensionOrganizationSequence = []
    shared, measures, kind, path = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [format_number_as_ds(round(one, 9)) for one in matrix.spacing_mm]
    # How deep it sees the file does not say; a section is about that thin.
    measures.SliceThickness = "0.001"
    kind.FrameType = list(matrix.kind)
    path.OpticalPathIdentifier = "1"
    shared.PixelMeasuresSequence = Sequence([measures])
    shared.WholeSlideMicroscopyImageFrameTypeSequence = Sequence([kind])
    shared.OpticalPathIdentificationSequence = Sequence([path])
    made.SharedFunctionalGroupsSequence = Sequence([shared])


def _lit(made: Dataset, profile: bytes) -> None:
    """One optical path, of white light through the slide: what OpenSlide reads are such scans."""
    path = Dataset()
    path.OpticalPathIdentifier = "1"
    path.IlluminationTypeCodeSequence = Sequence([_code("111744", "DCM", "Brightfield illumination")])
    path.IlluminationColorCodeSequence = Sequence([_code("371251000", "SCT", "White")])
    path.ICCProfile = profile + b"\0" * (len(profile) % 2)
    made.OpticalPathSequence = Sequence([path])


def _specimen(made: Dataset) -> None:
    """The specimen is named as its slide is, which a person says."""
    made.IssuerOfTheContainerIdentifierSequence = []
    made.ContainerTypeCodeSequence = Sequence([_code("433466003", "SCT", "Microscope slide")])
    made.SpecimenDescriptionSequence = []


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made
