"""One fault of a file is one finding, however many checks come across it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from consumers.validate.config import Limits
from consumers.validate.judging import judged
from tests import images

PIXELS = np.zeros((1, 8, 6), np.uint16)
RGB = np.zeros((1, 4, 4, 3), np.uint8)


def found(data: bytes, tag: str) -> list[str]:
    """Rules at one place, those of an image that is as it should be aside."""
    verdict = judged(data, Limits(), datetime(2026, 11, 29, tzinfo=UTC))
    assert verdict.held is None
    return [one.rule for one in verdict.findings if one.tag == tag]


def swapped(old: bytes, new: bytes, **attributes: object) -> bytes:
    """An image with a value that no library would write."""
    data = images.native(PIXELS, **attributes)
    assert data.count(old) == 1
    return data.replace(old, new)


@pytest.mark.parametrize(
    ("data", "tag", "rule"),
    [
        (images.native(PIXELS, BitsStored=12, HighBit=15), "0028,0102", "high_bit"),
        (images.native(PIXELS, BitsStored=17, HighBit=16), "0028,0101", "bits_stored"),
        (images.native(PIXELS, BitsStored=None), "0028,0101", "type_1_empty"),
        (images.native(PIXELS, HighBit=None), "0028,0102", "type_1_empty"),
        (images.native(PIXELS, Rows=None), "0028,0010", "type_1_empty"),
        (images.native(PIXELS, PixelRepresentation=None), "0028,0103", "type_1_empty"),
        (images.native(PIXELS, PixelRepresentation=2), "0028,0103", "pixel_representation"),
        (images.native(RGB, photometric="RGB", PlanarConfiguration=7), "0028,0006", "planar_configuration"),
        (images.written(images.image(PIXELS)), "7FE0,0010", "type_1c_missing"),
        (swapped(b"ISO_IR 100", b"ISO-IR 100", SpecificCharacterSet="ISO_IR 100"), "0008,0005", "charset_unknown"),
        (swapped(b"CS\2\0M ", b"CS\2\0m ", PatientSex="M"), "0010,0040", "code_string"),
        (images.native(PIXELS, PatientSex="W"), "0010,0040", "enumerated_value"),
        (images.native(PIXELS, PatientID=""), "0010,0020", "patient_id_empty"),
    ],
)
def test_a_fault_is_said_once(data: bytes, tag: str, rule: str) -> None:
    assert found(data, tag) == [rule]


def test_two_faults_at_one_place_are_two_findings() -> None:
    data = swapped(b"CS\2\0LL", b"CS\x12\0" + b"l" * 18, Laterality="LL")

    assert found(data, "0020,0060") == ["too_long", "code_string"]
