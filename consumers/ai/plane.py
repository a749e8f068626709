"""One image of a series: where it is in the patient, and its pixels in Hounsfield units.

Numbers are read from the bounded walk over the file, never by a parser that trusts its input.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from streams import part10
from streams.elements import Malformed, TooComplex
from streams.identity import uid_is_usable
from streams.mapped import File
from streams.part10 import Part10
from streams.pixels.codecs import Undecodable
from streams.pixels.frames import Frames
from streams.pixels.image import Image, describe

_IMAGE_TYPE, _SOP_INSTANCE, _THICKNESS = 0x00080008, 0x00080018, 0x00180050
_PATIENT, _PATIENT_ISSUER = 0x00100020, 0x00100021
_POSITION, _ORIENTATION, _FRAME_OF_REFERENCE = 0x00200032, 0x00200037, 0x00200052
_SPACING, _INTERCEPT, _SLOPE = 0x00280030, 0x00281052, 0x00281053
_GRAY = ("MONOCHROME1", "MONOCHROME2")
_FRAME_BYTES_MAX = 64 << 20
# Air is -1000 HU by definition and -1024 by custom; what scanners write outside their field of view is lower still.
HU_MIN, HU_MAX = -1024, 32767
# Cosines are written with a few digits.
_UNIT_TOLERANCE = 1e-3
_MM_MAX = 1e5

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class OutOfScope:
    """The images are none that the model was made for. `code` is a stable name; `detail` has no patient data."""

    code: str
    detail: str


@dataclass(frozen=True, eq=False)
class Plane:
    """`position` is the centre of the first voxel (x, y, z), `along_row` and `along_column` are unit vectors: PS3.3
    section C.7.6.2.1.1. `spacing_mm` is (between rows, between columns). `thickness_mm` is 0 where it is not said."""

    file: Part10
    image: Image
    sop_instance_uid: str
    frame_of_reference_uid: str
    position: Vector
    along_row: Vector
    along_column: Vector
    spacing_mm: tuple[float, float]
    thickness_mm: float
    slope: float
    intercept: float

    @property
    def patient(self) -> tuple[bytes, ...]:
        """Patient ID and its issuer, as they are written: to be compared, never to be shown."""
        found = (self.file.elements.get(tag) for tag in (_PATIENT, _PATIENT_ISSUER))
        return tuple(self.file.value(one).strip(b" \0") if one else b"" for one in found)

    @property
    def normal(self) -> Vector:
        return np.cross(self.along_row, self.along_column)

    def hounsfield(self) -> NDArray[np.int16] | OutOfScope:
        """Pixels, shaped (rows, columns), after the rescaling of PS3.3 section C.11.1."""
        try:
            stored = Frames(self.file, self.image).frame(0)
        except Undecodable:
            return OutOfScope("undecodable", "An image cannot be decoded.")
        if self._is_whole and stored.dtype.itemsize <= 2:
            whole = stored.astype(np.int32) * int(self.slope) + int(self.intercept)
            return np.clip(whole, HU_MIN, HU_MAX).astype(np.int16)
        scaled = stored.astype(np.float64) * self.slope + self.intercept
        hounsfield: NDArray[np.int16] = np.clip(np.rint(scaled), HU_MIN, HU_MAX).astype(np.int16)
        return hounsfield

    @property
    def _is_whole(self) -> bool:
        """Whether all is said in whole numbers, as scanners do: a third of the time, and 32 bits hold it."""
        small = abs(self.slope) < 1 << 14 and abs(self.intercept) < 1 << 29
        return small and self.slope.is_integer() and self.intercept.is_integer()

    def header(self) -> Dataset | OutOfScope:
        """The data set without pixel data."""
        try:
            return pydicom.dcmread(io.BytesIO(self.file.data), stop_before_pixels=True, force=False)
        except Exception:  # noqa: BLE001 - pydicom raises whatever a value leads it to
            return OutOfScope("unreadable", "The header of an image cannot be read.")


def plane_of(data: File) -> Plane | OutOfScope:
    """An image from its Part 10 file; what has no place in a patient is out of scope."""
    try:
        file = part10.read(data)
    except (Malformed, TooComplex):
        return OutOfScope("unreadable", "A file cannot be read.")
    image = describe(file, _FRAME_BYTES_MAX)
    if isinstance(image, str):
        return OutOfScope(image, "An image has no pixels that can be used.")
    if image.samples != 1 or image.photometric not in _GRAY or image.bits_allocated == 1:
        return OutOfScope("not_gray", "An image is not in shades of gray.")
    if image.frames != 1:
        return OutOfScope("multi_frame", "An image has several frames.")
    if "LOCALIZER" in (file.text(_IMAGE_TYPE) or "").split("\\"):
        return OutOfScope("localiser", "It is a localiser.")
    return _placed(file, image)


def _placed(file: Part10, image: Image) -> Plane | OutOfScope:
    position, orientation = _numbers(file, _POSITION, 3), _numbers(file, _ORIENTATION, 6)
    spacing = _numbers(file, _SPACING, 2)
    if position is None or orientation is None or spacing is None or spacing.min() <= 0:
        return OutOfScope("no_geometry", "An image does not say where it is in the patient.")
    row, column = orientation[:3], orientation[3:]
    if not _are_axes(row, column):
        return OutOfScope("no_geometry", "The orientation of an image is none.")
    reference, instance = file.text(_FRAME_OF_REFERENCE) or "", file.text(_SOP_INSTANCE) or ""
    if not uid_is_usable(reference) or not uid_is_usable(instance):
        return OutOfScope("no_geometry", "An image names no frame of reference.")
    rescale = (_number(file, _SLOPE, 1.0), _number(file, _INTERCEPT, 0.0))
    if rescale[0] == 0 or not all(map(math.isfinite, rescale)):
        return OutOfScope("no_units", "The pixels of an image have no units.")
    thickness = _number(file, _THICKNESS, 0.0)
    return Plane(
        file=file,
        image=image,
        sop_instance_uid=instance,
        frame_of_reference_uid=reference,
        position=position,
        along_row=row,
        along_column=column,
        spacing_mm=(float(spacing[0]), float(spacing[1])),
        thickness_mm=thickness if math.isfinite(thickness) and thickness > 0 else 0.0,
        slope=rescale[0],
        intercept=rescale[1],
    )


def _are_axes(row: Vector, column: Vector) -> bool:
    off = (abs(float(row @ row) - 1), abs(float(column @ column) - 1), abs(float(row @ column)))
    return max(off) < _UNIT_TOLERANCE


def _numbers(file: Part10, tag: int, count: int) -> Vector | None:
    """The values of a DS element (PS3.5 section 6.2), where there are `count` of them and each is a length."""
    parts = (file.text(tag) or "").split("\\")
    if len(parts) != count:
        return None
    try:
        values = np.array([float(part) for part in parts])
    except ValueError:
        return None
    return values if bool(np.all(np.abs(values) < _MM_MAX)) else None


def _number(file: Part10, tag: int, absent: float) -> float:
    """One DS value; NaN where it is none."""
    text = file.text(tag)
    if not text:
        return absent
    try:
        return float(text)
    except ValueError:
        return math.nan
