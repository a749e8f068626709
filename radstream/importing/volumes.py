"""NIfTI volumes as series of CT, MR or PET images (PS3.3 sections A.3, A.4, A.21): a slice an object, at every time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset
from pydicom.valuerep import format_number_as_ds

from radstream.importing.made import How, Made, Native, Refused, Source
from radstream.importing.objects import EXPLICIT_LITTLE, described
from radstream.importing.volume_file import Volume, opened
from radstream.importing.volume_values import Scale, scale_of

MODALITIES: Final = {
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
}
# A PET image cannot be secondary (PS3.3 section C.8.9.4).
_IMAGE_TYPES: Final = {
    "CT": ["DERIVED", "SECONDARY", "AXIAL"],
    "MR": ["DERIVED", "SECONDARY", "OTHER"],
    "PT": ["DERIVED", "PRIMARY"],
}
_WANTED_OF_PT: Final = (
    "Units",
    "DecayCorrection",
    "DecayFactor",
    "ActualFrameDuration",
    "FrameReferenceTime",
    "SeriesTime",
)


def source(path: Path, digest: str, how: How) -> Source:
    """Raises Refused."""
    modality = how.modality
    if modality is not None and modality not in MODALITIES:
        raise Refused(f"a NIfTI volume becomes CT, MR or PT, not {modality}: say which by --modality")
    with opened(path):
        pass
    return Source(
        path=path,
        format="NIfTI",
        digest=digest,
        modality=modality,
        captured=None,
        made=lambda: _made(path, modality or ""),
        notes=("it says neither how nor when it was acquired: attributes of the acquisition are empty unless given",),
        wanted=_WANTED_OF_PT if modality == "PT" else (),
        own_series=True,
    )


def _made(path: Path, modality: str) -> Iterator[Made]:
    with opened(path) as volume:
        scale = scale_of(volume.all_slices(), volume.slope, volume.intercept, from_zero=modality == "PT")
        notes = _notes(scale)
        for time in range(volume.times):
            for nth in range(volume.slices):
                dataset = _kind(modality, volume, time)
                _placed(dataset, volume, nth, time)
                _scaled(dataset, volume, scale, modality)
                pixels = scale.stored(volume.slice(nth, time))
                yield Made(f"{time}.{nth}", dataset, EXPLICIT_LITTLE, _native(pixels), notes)


def _native(pixels: bytes) -> Native:
    return Native(len(pixels), lambda: iter([pixels]))


def _notes(scale: Scale) -> tuple[str, ...]:
    said = []
    if scale.has_nan:
        said.append("voxels that are no number have the lowest value")
    if not scale.exact and not scale.has_nan:
        said.append("its numbers do not fit 16 bits: they are stored in steps of Rescale Slope, right to half a step")
    return tuple(said)


def _placed(made: Dataset, volume: Volume, nth: int, time: int) -> None:
    """Image Plane and Frame of Reference (PS3.3 sections C.7.6.2 and C.7.4.1)."""
    where = volume.geometry
    made.FrameOfReferenceUID = ""
    made.PositionReferenceIndicator = ""
    made.InstanceNumber = time * volume.slices + nth + 1
    made.PixelSpacing = [_number(one) for one in where.spacing]
    made.ImageOrientationPatient = [_number(one) for one in (*where.row, *where.column)]
    made.ImagePositionPatient = [_number(one) for one in where.position(nth)]
    made.SliceThickness = _number(where.between)
    if made.SOPClassUID == MODALITIES["PT"]:
        made.ImageIndex = made.InstanceNumber
    elif volume.times > 1:
        made.TemporalPositionIdentifier = time + 1
        made.NumberOfTemporalPositions = volume.times
        if volume.between_times_s > 0:
            made.TemporalResolution = format_number_as_ds(volume.between_times_s * 1000)


def _number(value: float) -> str:
    """Without the noise of arithmetic, and without a minus before 0."""
    return format_number_as_ds(round(float(value), 9) + 0.0)


def _scaled(made: Dataset, volume: Volume, scale: Scale, modality: str) -> None:
    described(
        made,
        rows=int(volume.voxels.shape[1]),
        columns=int(volume.voxels.shape[0]),
        samples=1,
        bits=16,
        photometric="MONOCHROME2",
    )
    made.PixelRepresentation = int(scale.signed)
    as_stored = (float(scale.slope), float(scale.intercept)) == (1.0, 0.0)
    if modality == "MR" and as_stored:
        return
    made.RescaleSlope, made.RescaleIntercept = scale.slope, scale.intercept
    if modality != "PT":
        made.RescaleType = "HU" if modality == "CT" else "US"


def _kind(modality: str, volume: Volume, time: int) -> Dataset:
    made = Dataset()
    made.SOPClassUID = MODALITIES[modality]
    made.ImageType = _IMAGE_TYPES[modality]
    made.AcquisitionNumber = time + 1
    made.LossyImageCompression = "00"
    if modality == "CT":
        made.PatientPosition = ""
        made.KVP = None
    elif modality == "MR":
        made.PatientPosition = ""
        _of_mr(made)
    else:
        _of_pt(made, volume)
    return made


def _of_mr(made: Dataset) -> None:
    """Nothing is known of the sequence: research mode is the term that says no more."""
    made.ScanningSequence, made.SequenceVariant = "RM", "NONE"
    made.ScanOptions = None
    made.MRAcquisitionType = None
    made.RepetitionTime = made.EchoTime = made.EchoTrainLength = None


def _of_pt(made: Dataset, volume: Volume) -> None:
    made.CountsSource = "EMISSION"
    made.SeriesType = ["DYNAMIC" if volume.times > 1 else "STATIC", "IMAGE"]
    made.CorrectedImage = None
    made.CollimatorType = ""
    made.AcquisitionDate = made.AcquisitionTime = ""
    made.NumberOfSlices = volume.slices
    if volume.times > 1:
        made.NumberOfTimeSlices = volume.times
    made.RadiopharmaceuticalInformationSequence = []
    made.PatientOrientationCodeSequence = []
    made.PatientGantryRelationshipCodeSequence = []
