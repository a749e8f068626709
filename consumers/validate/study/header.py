"""What the beginning of an instance says, for comparison with others. Values stay in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from consumers.validate.quality.geometry import numbers, orthonormal
from streams.events import ObjectRef
from streams.part10 import Part10

CHARACTER_SET, IMAGE_TYPE, SOP_CLASS = 0x00080005, 0x00080008, 0x00080016
STUDY_DATE, ACCESSION, MODALITY = 0x00080020, 0x00080050, 0x00080060
NAME, PATIENT_ID, ISSUER, BIRTH_DATE, SEX = 0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00100040
INSTANCE_NUMBER, POSITION, ORIENTATION, FRAME_OF_REFERENCE = 0x00200013, 0x00200032, 0x00200037, 0x00200052
SPACING, ROWS, COLUMNS, FRAMES = 0x00280030, 0x00280010, 0x00280011, 0x00280008

# What may tell apart two images of one place: times, echoes, phases, diffusion, energy, contrast, reconstruction.
_APART = (
    IMAGE_TYPE,
    0x00080022,  # Acquisition Date
    0x0008002A,  # Acquisition DateTime
    0x00080032,  # Acquisition Time
    0x00080033,  # Content Time
    0x00180010,  # Contrast/Bolus Agent
    0x00180024,  # Sequence Name
    0x00180050,  # Slice Thickness
    0x00180060,  # KVP
    0x00180080,  # Repetition Time
    0x00180081,  # Echo Time
    0x00180082,  # Inversion Time
    0x00180086,  # Echo Number(s)
    0x00181060,  # Trigger Time
    0x00181210,  # Convolution Kernel
    0x00181314,  # Flip Angle
    0x00189087,  # Diffusion b-value
    0x00200012,  # Acquisition Number
    0x00200100,  # Temporal Position Identifier
    0x00209057,  # In-Stack Position Number
    0x00541300,  # Frame Reference Time
    0x00541330,  # Image Index
)

Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Patient:
    """As it is written, padding and case aside; empty is unknown. `issuer` is of the ID."""

    patient_id: bytes = b""
    issuer: bytes = b""
    name: bytes = b""
    birth_date: bytes = b""
    sex: bytes = b""


@dataclass(frozen=True, slots=True)
class Header:
    """`position` and `orientation` are None where they are not those of one plane (PS3.3 section C.7.6.2.1.1). `apart`
    is whatever may tell two images of one place apart."""

    ref: ObjectRef
    series_uid: str
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    patient: Patient
    study_date: bytes
    accession: bytes
    modality: str
    frame_of_reference: bytes
    instance_number: int | None
    position: Vector | None
    orientation: Vector | None
    spacing: Vector | None
    size: tuple[int | None, int | None]
    is_localizer: bool
    apart: tuple[bytes, ...]

    @property
    def digest(self) -> str:
        return self.ref.sha256


def header_of(file: Part10, ref: ObjectRef, series_uid: str, sop_instance_uid: str) -> Header:
    orientation = numbers(file, ORIENTATION, 6)
    is_plane = orientation is not None and orthonormal(orientation) and (file.integer(FRAMES) or 1) == 1
    return Header(
        ref=ref,
        series_uid=series_uid,
        sop_instance_uid=sop_instance_uid,
        sop_class_uid=file.text(SOP_CLASS) or "",
        transfer_syntax_uid=file.transfer_syntax_uid,
        patient=_patient(file),
        study_date=_bytes(file, STUDY_DATE),
        accession=_bytes(file, ACCESSION),
        modality=file.text(MODALITY) or "",
        frame_of_reference=_bytes(file, FRAME_OF_REFERENCE),
        instance_number=file.integer(INSTANCE_NUMBER),
        position=numbers(file, POSITION, 3) if is_plane else None,
        orientation=orientation if is_plane else None,
        spacing=numbers(file, SPACING, 2),
        size=(file.unsigned(ROWS), file.unsigned(COLUMNS)),
        is_localizer="LOCALIZER" in (file.text(IMAGE_TYPE) or "").split("\\"),
        apart=tuple(_bytes(file, tag) for tag in _APART),
    )


def _patient(file: Part10) -> Patient:
    return Patient(
        patient_id=_bytes(file, PATIENT_ID).upper(),
        issuer=_bytes(file, ISSUER).upper(),
        name=_name(file),
        birth_date=_bytes(file, BIRTH_DATE).replace(b".", b""),
        sex=_bytes(file, SEX).upper(),
    )


def _name(file: Part10) -> bytes:
    """The alphabetic form of a name (PS3.5 section 6.2.1) without padding and empty components, in capitals.

    What is beyond ASCII has other bytes in another character set, so such a name carries the set that it is in, and is
    compared with none in another (`streams` decodes no text).
    """
    whole = _bytes(file, NAME)
    components = [b" ".join(part.split()) for part in whole.split(b"=")[0].upper().split(b"^")]
    name = b"^".join(components).rstrip(b"^")
    return name if name.isascii() else b"\0" + _bytes(file, CHARACTER_SET) + b"\0" + name


def _bytes(file: Part10, tag: int) -> bytes:
    """A short value as it is written, without padding; empty where there is none or it is longer than 1 kB."""
    element = file.elements.get(tag)
    if element is None or element.length > 1024:
        return b""
    return file.value(element).strip(b" \0")


def normal_of(orientation: Sequence[float]) -> Vector:
    a, b, c, d, e, f = orientation
    return (b * f - c * e, c * d - a * f, a * e - b * d)


def along(position: Sequence[float], normal: Sequence[float]) -> float:
    """How far a position is along a normal, in mm."""
    return math.fsum(one * other for one, other in zip(position, normal, strict=True))
