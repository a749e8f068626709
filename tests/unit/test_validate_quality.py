"""What is said of an image that is legal DICOM and yet of no use, or does not fit together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from consumers.validate import quality, rules
from streams import part10
from streams.elements import Malformed, TooComplex
from streams.preamble import is_program, kind_of
from tests import images
from tests.received import CORPUS, manifest

CAME = datetime(2026, 11, 2, 12, tzinfo=UTC)
NOISE = np.random.default_rng(7).integers(0, 4000, (1, 64, 48)).astype(np.uint16)
AXIAL = [1, 0, 0, 0, 1, 0]


def found(data: bytes) -> list[tuple[str, str | None]]:
    """Rules with the tags that are shown."""
    broken = quality.check(part10.read(data), CAME)
    return [(one.rule, one.tag) for one in rules.named(broken)]


def names(**attributes: Any) -> list[str]:
    return [name for name, _ in found(images.native(NOISE, bits_stored=12, **attributes))]


@pytest.mark.parametrize("encoding", sorted(images.NATIVE))
@pytest.mark.parametrize("modality", ["CT", "CR", "OT", "SEG"])
def test_a_good_image_is_let_be(encoding: str, modality: str) -> None:
    said: dict[str, Any] = {
        "Modality": modality,
        "ImageOrientationPatient": AXIAL,
        "PixelSpacing": [0.5, 0.5],
        "ImagerPixelSpacing": [0.6, 0.6],
        "SliceThickness": 5,
        "SpacingBetweenSlices": 5,
        "StudyDate": "20261102",
        "PatientBirthDate": "19600101",
        "PatientAge": "066Y",
        "BurnedInAnnotation": "NO",
    }
    assert found(images.native(NOISE, encoding, bits_stored=12, **said)) == []


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"StudyDate": "20261105"}, ("date_future", "0008,0020")),
        ({"AcquisitionDateTime": "20270101120000.5+0100"}, ("date_future", "0008,002A")),
        ({"ContentDate": "18991231"}, ("date_too_old", "0008,0023")),
        ({"PatientBirthDate": "20261103", "StudyDate": "20261102"}, ("birth_after_study", "0010,0030")),
        (
            {"PatientBirthDate": "19600101", "StudyDate": "20261102", "PatientAge": "060Y"},
            ("age_contradicts", "0010,1010"),
        ),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, ("orientation", "0020,0037")),
        ({"ImageOrientationPatient": [0] * 6}, ("orientation", "0020,0037")),
        ({"ImageOrientationPatient": [2, 0, 0, 0, 2, 0]}, ("orientation", "0020,0037")),
        ({"PixelSpacing": [0.5, 0]}, ("spacing", "0028,0030")),
        ({"ImagerPixelSpacing": [-1, 1]}, ("spacing", "0018,1164")),
        ({"SliceThickness": -5}, ("spacing", "0018,0050")),
        ({"SpacingBetweenSlices": -5}, ("spacing", "0018,0088")),
        ({"SpacingBetweenSlices": 99, "SliceThickness": 1}, ("slice_spacing", "0018,0088")),
        ({"PixelSpacing": [0.5, 0.5], "ImagerPixelSpacing": [0.2, 0.2]}, ("spacing_contradicts", "0028,0030")),
        ({"PixelSpacing": [0.1, 0.2], "ImagerPixelSpacing": [0.2, 0.2]}, ("spacing_contradicts", "0028,0030")),
        ({"BurnedInAnnotation": "YES"}, ("burned_in", "0028,0301")),
    ],
)
def test_what_cannot_be_so_is_said_with_its_tag(attributes: Mapping[str, Any], expected: tuple[str, str]) -> None:
    assert found(images.native(NOISE, bits_stored=12, **attributes)) == [expected]


@pytest.mark.parametrize(
    "attributes",
    [
        {"StudyDate": "20261103"},  # already tomorrow, west of the date line
        {"StudyDate": "20261102", "PatientBirthDate": "18990501"},
        {"ImageOrientationPatient": [0.7071, 0.7071, 0, -0.7071, 0.7071, 0]},
        {"SpacingBetweenSlices": 10, "SliceThickness": 1},
        {"SpacingBetweenSlices": -5, "Modality": "NM"},
        {"SliceThickness": 0, "SpacingBetweenSlices": 5},
        {"PixelSpacing": [0.5, 0.5], "ImagerPixelSpacing": [0.2, 0.2], "PixelSpacingCalibrationType": "FIDUCIAL"},
    ],
)
def test_what_may_be_so_is_let_be(attributes: Mapping[str, Any]) -> None:
    assert names(**attributes) == []


@pytest.mark.parametrize("number", ["1e999", "nan", "a\\b", "1\\2\\3", ""])
def test_numbers_that_are_none_say_nothing(number: str) -> None:
    """They are broken values, which is another rule."""
    data = images.native(NOISE, PixelSpacing=[0.125, 0.125])
    broken = data.replace(b"0.125\\0.125 ", number.encode().ljust(12))
    assert broken != data
    assert found(broken) == []


EXTREMES = ["1e308", "-1e308", "1e-308", "5e-324", "0", "1", "9e6", "-0.0"]


@pytest.mark.parametrize("name", ["PixelSpacing", "ImagerPixelSpacing", "SliceThickness"])
def test_no_number_is_too_large_or_too_small_to_be_looked_at(name: str) -> None:
    for one, other in itertools.product(EXTREMES, EXTREMES):
        said: dict[str, Any] = {
            "PixelSpacing": [0.5, 0.5],
            "ImagerPixelSpacing": [0.5, 0.5],
            "SliceThickness": one,
            "SpacingBetweenSlices": other,
        }
        said |= {name: [one, other]} if name.endswith("PixelSpacing") else {}
        file = part10.read(images.native(NOISE[:, :2, :2], **said))
        assert {rule for rule, _ in quality.check(file, CAME)} <= set(rules.RULES)


@pytest.mark.parametrize("date", ["1993.05.01", "2099", "99999999", "2026110", "20990000", "\xb2099\xb2\xb2\xb2\xb2"])
def test_dates_that_are_none_say_nothing(date: str) -> None:
    """The first is the form of before 1993."""
    data = images.native(NOISE, bits_stored=12, StudyDate="20261102")
    said = date.encode("latin-1").ljust(len(date) + len(date) % 2)
    assert found(data.replace(b"DA\x08\x0020261102", b"DA" + bytes([len(said), 0]) + said)) == []


# Exposure


def of(pixels: NDArray[np.integer], modality: str, **attributes: Any) -> list[str]:
    return [name for name, _ in found(images.native(pixels, Modality=modality, **attributes))]


@pytest.mark.parametrize("modality", ["CT", "MR", "CR", "US"])
@pytest.mark.parametrize("value", [0, 17, 4095])
def test_an_image_of_one_value_is_blank(modality: str, value: int) -> None:
    assert of(np.full_like(NOISE, value), modality, bits_stored=12) == ["pixels_blank"]


@pytest.mark.parametrize("encoding", sorted(images.NATIVE))
def test_what_shows_nothing_is_told_in_every_native_encoding(encoding: str) -> None:
    blank, white = np.full_like(NOISE, 17), np.where(np.arange(NOISE.size).reshape(NOISE.shape) % 10 < 4, 4095, NOISE)

    assert of(blank, "CT", bits_stored=12, encoding=encoding) == ["pixels_blank"]
    assert of(white.astype(np.uint16), "CT", bits_stored=12, encoding=encoding) == ["pixels_saturated"]
    assert of(NOISE, "CT", bits_stored=12, encoding=encoding) == []


def test_one_pixel_is_enough_not_to_be_blank() -> None:
    pixels = np.zeros((1, 512, 512), np.uint16)
    pixels[0, 300, 301] = 1
    assert of(pixels, "CT", bits_stored=12) == []


@pytest.mark.parametrize("modality", ["SEG", "RTDOSE", "OT"])
def test_masks_and_doses_may_be_of_one_value(modality: str) -> None:
    assert of(np.zeros_like(NOISE), modality) == []


@pytest.mark.parametrize(
    ("modality", "dtype", "bits", "top", "share", "expected"),
    [
        ("CT", np.uint16, 12, 4095, 0.4, ["pixels_saturated"]),
        ("CT", np.uint16, 12, 4095, 0.1, []),
        ("CT", np.uint16, 12, 4094, 0.4, []),
        ("CT", np.int16, 16, 32767, 0.4, ["pixels_saturated"]),
        ("US", np.uint8, 8, 255, 0.4, []),
        ("US", np.uint8, 8, 255, 0.7, ["pixels_saturated"]),
        ("DX", np.uint16, 14, 16383, 0.8, []),
        ("DX", np.uint16, 14, 16383, 0.98, ["pixels_saturated"]),
    ],
)
def test_what_lies_at_the_top_is_saturated(
    modality: str, dtype: type[np.integer], bits: int, top: int, share: float, expected: list[str]
) -> None:
    random = np.random.default_rng(1)
    pixels = random.integers(0, 200, (1, 256, 200)).astype(dtype)
    pixels[random.random(pixels.shape) < share] = top
    assert of(pixels, modality, bits_stored=bits) == expected


def test_padding_is_no_saturation() -> None:
    pixels = NOISE.copy()
    pixels[:, :40] = 4095
    assert of(pixels, "CT", bits_stored=12) == ["pixels_saturated"]
    assert of(pixels, "CT", bits_stored=12, PixelPaddingValue=4095) == []


def test_every_byte_order_is_read_as_it_is_stored() -> None:
    pixels = np.full((1, 64, 48), 255, np.uint16)
    pixels[0, ::3] = 7
    assert found(images.native(pixels, "big", bits_stored=8)) == [("pixels_saturated", "7FE0,0010")]


# The preamble


@pytest.mark.parametrize(
    "start", [b"MZ\x90", b"\x7fELF\x02", b"#!/bin/sh\n", b"PK\x03\x04", b"%PDF-1.7", b" \n<HTML>", b"\xcf\xfa\xed\xfe"]
)
def test_a_file_that_begins_like_a_program_is_said_to(start: bytes) -> None:
    data = images.native(NOISE, bits_stored=12)
    assert found(start.ljust(128, b"\0") + data[128:]) == [("preamble_program", None)]


@pytest.mark.parametrize("start", [b"", b"II*\0", b"MM\0*", b"any text that a writer likes"])
def test_other_preambles_are_let_be(start: bytes) -> None:
    """A whole-slide image may be a TIFF as well."""
    assert not is_program(start.ljust(128, b"\0"))


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"", None), (b"II*\0\x08", "tiff"), (b"MM\0+", "tiff"), (b"MZ", "program"), (b"made by a converter", "other")],
)
def test_a_preamble_is_nothing_a_tiff_a_program_or_something_else(start: bytes, kind: str | None) -> None:
    assert kind_of(start.ljust(128, b"\0")) == kind


# Whatever comes


@settings(deadline=None)
@given(st.data())
def test_nothing_is_raised_whatever_the_bytes_are(draw: st.DataObject) -> None:
    data = bytearray(images.native(NOISE[:, :33, :33], PixelSpacing=[1, 1], StudyDate="20200101", PatientAge="001Y"))
    for _ in range(draw.draw(st.integers(1, 20))):
        data[draw.draw(st.integers(0, 700))] = draw.draw(st.integers(0, 255))
    try:
        file = part10.read(bytes(data))
    except (Malformed, TooComplex):
        return
    assert {name for name, _ in quality.check(file, CAME)} <= set(rules.RULES)


@pytest.mark.corpus
@pytest.mark.usefixtures("corpus")
def test_valid_files_have_no_finding() -> None:
    valid = [row for row in manifest() if row["expect"] == "valid"]
    wrong = [(row["file"], found((CORPUS / row["file"]).read_bytes())) for row in valid]
    assert [one for one in wrong if one[1]] == []
    assert len(wrong) > 40


def test_what_is_future_is_measured_by_when_it_came() -> None:
    """A replay in a year says what was said today."""
    file = part10.read(images.native(NOISE, bits_stored=12, StudyDate="20270101"))
    assert [name for name, _ in quality.check(file, CAME)] == ["date_future"]
    assert list(quality.check(file, CAME + timedelta(days=90))) == []
