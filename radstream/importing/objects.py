"""Kinds of DICOM objects that other formats become, and the attributes that all of one kind have (PS3.3 annex A)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pydicom.dataset import Dataset

As = Literal["capture", "photo", "endoscopy"]

SECONDARY_CAPTURE: Final = "1.2.840.10008.5.1.4.1.1.7"
CAPTURE_GREY_BYTE: Final = "1.2.840.10008.5.1.4.1.1.7.2"
CAPTURE_GREY_WORD: Final = "1.2.840.10008.5.1.4.1.1.7.3"
CAPTURE_COLOUR: Final = "1.2.840.10008.5.1.4.1.1.7.4"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
JPEG_BASELINE: Final = "1.2.840.10008.1.2.4.50"
PIXELS_MAX: Final = 1 << 28
SIDE_MAX: Final = 65_535
OBJECT_BYTES_MAX: Final = (1 << 30) - (1 << 20)  # It is made in memory.


@dataclass(frozen=True)
class VisibleLight:
    """Visible light as still pictures and as video (PS3.3 sections A.32.1, A.32.4, A.32.5, A.32.7)."""

    still: str
    video: str
    modality: str


VISIBLE_LIGHT: Final[dict[str, VisibleLight]] = {
    "photo": VisibleLight("1.2.840.10008.5.1.4.1.1.77.1.4", "1.2.840.10008.5.1.4.1.1.77.1.4.1", "XC"),
    "endoscopy": VisibleLight("1.2.840.10008.5.1.4.1.1.77.1.1", "1.2.840.10008.5.1.4.1.1.77.1.1.1", "ES"),
}


def still(as_: str) -> Dataset:
    """What is constant in objects of one picture."""
    return capture(SECONDARY_CAPTURE) if as_ == "capture" else visible_light(VISIBLE_LIGHT[as_].still)


def modality_of(as_: str, said: str | None) -> str:
    """Of a still picture; `said` is a person's word, which visible light leaves no room for (PS3.3 A.32)."""
    return said or "OT" if as_ == "capture" else VISIBLE_LIGHT[as_].modality


def visible_light(sop_class: str) -> Dataset:
    """What is constant in objects of visible light. That pictures were taken by another camera is in Image Type."""
    made = Dataset()
    made.SOPClassUID = sop_class
    made.ImageType = ["ORIGINAL", "PRIMARY"]
    made.AcquisitionContextSequence = []
    made.LossyImageCompression = "00"
    return made


def capture(sop_class: str) -> Dataset:
    """Secondary capture (PS3.3 section A.8): pictures that no modality made in DICOM."""
    made = Dataset()
    made.SOPClassUID = sop_class
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.ConversionType = "WSD"
    made.LossyImageCompression = "00"
    return made


def described(
    made: Dataset,
    *,
    rows: int,
    columns: int,
    samples: int,
    bits: int,
    photometric: str,
    aspect: tuple[int, int] | None = None,
) -> None:
    """The Image Pixel module (PS3.3 section C.7.6.3) of unsigned pixels; colour is by pixel.

    `aspect` is the height and the width of pixels that are no squares (section C.7.6.3.1.7).
    """
    made.SamplesPerPixel = samples
    made.PhotometricInterpretation = photometric
    made.Rows, made.Columns = rows, columns
    made.BitsAllocated = made.BitsStored = bits
    made.HighBit = bits - 1
    made.PixelRepresentation = 0
    if samples > 1:
        made.PlanarConfiguration = 0
    if aspect is not None:
        made.PixelAspectRatio = list(aspect)


def paged(made: Dataset, frames: int, *, grey: bool) -> None:
    """What a secondary capture of several pages has beside (PS3.3 sections C.8.6.3 and C.8.6.4).

    Whether a person can be recognised in it nobody knows but who says so, so the careful answer is written.
    """
    made.NumberOfFrames = frames
    made.FrameIncrementPointer = 0x00182001
    made.PageNumberVector = list(range(1, frames + 1))
    made.BurnedInAnnotation = "YES"
    if grey:
        made.PresentationLUTShape = "IDENTITY"
        made.RescaleIntercept, made.RescaleSlope, made.RescaleType = "0", "1", "US"


def lossy(made: Dataset, method: str, stored: int, native: int) -> None:
    """How the pixels lost something, by what method, and how many times they were more (PS3.3 section C.7.6.1.1.5)."""
    made.LossyImageCompression = "01"
    made.LossyImageCompressionRatio = f"{max(native, 1) / max(stored, 1):.4g}"
    made.LossyImageCompressionMethod = method
