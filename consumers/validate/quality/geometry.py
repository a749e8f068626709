"""Where and how large: numbers that no image can have (PS3.3 sections C.7.6.2 and 10.7)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from consumers.validate.rule import Broken, Rule
from streams.part10 import Part10

MODALITY = 0x00080060
ORIENTATION, PIXEL_SPACING, CALIBRATION = 0x00200037, 0x00280030, 0x00280A02
IMAGER_SPACING, SCANNED_SPACING = 0x00181164, 0x00182010
THICKNESS, BETWEEN_SLICES = 0x00180050, 0x00180088

RULES = {
    "orientation": Rule(
        "warning",
        "PS3.3 C.7.6.2.1.1",
        "The directions of rows and columns are not two unit vectors at a right angle: nothing can be measured in it.",
        "0020,0037",
    ),
    "spacing": Rule("warning", "PS3.3 10.7.1.3", "A distance is not greater than zero: nothing can be measured in it."),
    "spacing_contradicts": Rule(
        "warning",
        "PS3.3 10.7.1.1",
        "Pixels are larger in the patient than at the detector, or have another shape: measure with care.",
        "0028,0030",
    ),
    "slice_spacing": Rule(
        "warning",
        "PS3.3 C.7.6.2.1",
        "The distance between slices and their thickness differ more than slices of one series do.",
        "0018,0088",
    ),
}

# Cosines are written with two digits here and there.
_UNIT_TOLERANCE = 0.02
_MAGNIFIED_TOLERANCE, _SHAPE_TOLERANCE = 1.1, 1.02
_SLICES_RATIO = 30.0
# Ten kilometres and a picometre: what is beyond is no measure of a patient, and quotients of it may be no numbers.
_MM_MAX, _MM_MIN = 1e7, 1e-9


def check(file: Part10) -> Iterator[Broken]:
    directions = numbers(file, ORIENTATION, 6)
    if directions is not None and not orthonormal(directions):
        yield "orientation", None
    for tag in (PIXEL_SPACING, IMAGER_SPACING, SCANNED_SPACING):
        spacing = numbers(file, tag, 2)
        if spacing is not None and min(spacing) <= 0:
            yield "spacing", tag
    yield from _calibrated(file)
    yield from _slices(file)


def orthonormal(directions: tuple[float, ...]) -> bool:
    row, column = directions[:3], directions[3:]
    return (
        abs(math.hypot(*row) - 1) <= _UNIT_TOLERANCE
        and abs(math.hypot(*column) - 1) <= _UNIT_TOLERANCE
        and abs(sum(one * other for one, other in zip(row, column, strict=True))) <= _UNIT_TOLERANCE
    )


def _calibrated(file: Part10) -> Iterator[Broken]:
    """Geometric magnification makes pixels smaller in the patient than at the detector. What says how it was
    calibrated is believed."""
    patient, detector = numbers(file, PIXEL_SPACING, 2), numbers(file, IMAGER_SPACING, 2)
    if patient is None or detector is None or min(*patient, *detector) < _MM_MIN or file.text(CALIBRATION):
        return
    shape = (patient[0] / patient[1]) / (detector[0] / detector[1])
    if patient[0] > detector[0] * _MAGNIFIED_TOLERANCE or max(shape, 1 / shape) > _SHAPE_TOLERANCE:
        yield "spacing_contradicts", None


def _slices(file: Part10) -> Iterator[Broken]:
    """In nuclear medicine the sign has a meaning (PS3.3 section C.8.4.15). A thickness of zero is unknown to many."""
    thickness, between = numbers(file, THICKNESS, 1), numbers(file, BETWEEN_SLICES, 1)
    if thickness is not None and thickness[0] < 0:
        yield "spacing", THICKNESS
    if between is None or file.text(MODALITY) == "NM":
        return
    if between[0] < 0:
        yield "spacing", BETWEEN_SLICES
    elif thickness is not None and min(thickness[0], between[0]) >= _MM_MIN:
        ratio = thickness[0] / between[0]
        if max(ratio, 1 / ratio) > _SLICES_RATIO:
            yield "slice_spacing", None


def numbers(file: Part10, tag: int, count: int) -> tuple[float, ...] | None:
    """The values of a DS element (PS3.5 section 6.2); None where they are not `count` numbers of a size that
    a measure in millimetres may have."""
    text = file.text(tag)
    if not text or text.count("\\") != count - 1:
        return None
    try:
        found = tuple(float(part) for part in text.split("\\"))
    except ValueError:
        return None
    return found if all(math.isfinite(one) and abs(one) <= _MM_MAX for one in found) else None
