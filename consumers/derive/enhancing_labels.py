"""What an enhanced image says of itself, element by element, in explicit VR little endian."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from consumers.derive.enhancing import Enhancing
from streams.identity import uid_is_usable
from streams.part10 import Part10
from streams.pixels.codecs import LOSSLESS
from streams.pixels.image import NATIVE
from streams.recoding.around import Unconvertible, short
from streams.rendering.modality import INTERCEPT, SLOPE
from streams.rendering.values import decimal

IMAGE_TYPE, RESCALE_TYPE, LOSSY = 0x00080008, 0x00281054, 0x00282110
# What is no longer true: when it was made, smallest and largest values, an icon of the source, signatures of it.
TAKEN_OUT = (
    *(0x00080012, 0x00080013, 0x00080014, 0x00280106, 0x00280107, 0x00280108, 0x00280109, 0x00880200, 0x4FFE0001),
    0xFFFAFFFA,
)
# Of values that are in no unit any more: windows, tables, and what explains them.
_WINDOWS = (0x00281050, 0x00281051, 0x00281055, 0x00281056, 0x00283010)
_PLACES = 10
_SMOOTHING = ("113087", "DCM", "Smoothing")
# CID 7203, which may be extended, has no code for it.
_CLAHE = ("CLAHE", "99RADSTREAM", "Contrast limited adaptive histogram equalization")
_PURPOSE = ("121322", "DCM", "Source image for image processing operation")


def labels(
    file: Part10, span: tuple[int, int], how: Enhancing, sop_instance_uid: str, series_uid: str
) -> dict[int, bytes]:
    """Whole elements, by tag; empty ones are to be left out. Raises Unconvertible where the source has no name."""
    made = _encoded(_named(file, how, sop_instance_uid, series_uid))
    rest = (file.text(IMAGE_TYPE) or "").split("\\")[2:]
    values = "\\".join(("DERIVED", "SECONDARY", *rest)).encode("ascii", "replace")
    made[IMAGE_TYPE] = short(IMAGE_TYPE, b"CS", values)
    if file.transfer_syntax_uid not in NATIVE | LOSSLESS:
        made[LOSSY] = short(LOSSY, b"CS", b"01")
    return made | (_shown(file, span) if how.method == "clahe" else {})


def _named(file: Part10, how: Enhancing, sop_instance_uid: str, series_uid: str) -> Dataset:
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = (
        _uid(file, tag) for tag in (0x00080016, 0x00080018)
    )
    source.PurposeOfReferenceCodeSequence = Sequence([_code(_PURPOSE)])
    made = Dataset()
    made.SOPInstanceUID, made.SeriesInstanceUID = sop_instance_uid, series_uid
    made.SeriesDescription = f"{how.method.upper()}: enhanced, not for primary reading"
    # The source's number is that of another series.
    made.SeriesNumber = None
    made.DerivationDescription = how.sentence
    made.SourceImageSequence = Sequence([source])
    made.DerivationCodeSequence = Sequence([_code(_CLAHE if how.method == "clahe" else _SMOOTHING)])
    return made


def _uid(file: Part10, tag: int) -> str:
    uid = file.text(tag) or ""
    if not uid_is_usable(uid):
        raise Unconvertible("the source has no UID that can be referred to")
    return uid


def _code(code: tuple[str, str, str]) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item


def _encoded(made: Dataset) -> dict[int, bytes]:
    out: dict[int, bytes] = {}
    for element in made:
        one, buffer = Dataset(), DicomBytesIO()
        one[element.tag] = element
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_dataset(buffer, one)
        out[int(element.tag)] = buffer.getvalue()
    return out


def _shown(file: Part10, span: tuple[int, int]) -> dict[int, bytes]:
    """One window over all values, which have no unit: Hounsfield's, say, would be wrong (PS3.3 section C.11.1.1.2)."""
    slope, intercept = decimal(file, SLOPE) or 1.0, decimal(file, INTERCEPT) or 0.0
    low, high = sorted(value * slope + intercept for value in span)
    made = dict.fromkeys(_WINDOWS, b"")
    step = abs(slope)
    made[0x00281050] = short(0x00281050, b"DS", _decimal((low + high + step) / 2))
    made[0x00281051] = short(0x00281051, b"DS", _decimal(max(1.0, high - low + step)))
    if SLOPE in file.elements:
        made[RESCALE_TYPE] = short(RESCALE_TYPE, b"LO", b"US")
    return made


def _decimal(value: float) -> bytes:
    return f"{value:.{_PLACES}g}".encode()
