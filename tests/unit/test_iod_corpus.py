"""The check of IODs beside dciodvfy, on files that nobody here wrote: where one is alone, the reason is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.conformance import Compared, compare

pytestmark = pytest.mark.corpus

# Type 1 that dciodvfy (of 2022) asks for and the standard does not: file, and why.
NOT_ASKED = {
    "086_highdicom_seg_image_sm_dots_tiled_full.dcm": "TILED_FULL: no per-frame groups are needed (PS3.3 C.7.6.16)",
    "117_weasis-dicom-tools_prOverlay.dcm": "group 6000 has only an activation layer, of the image's overlay (C.11.7)",
}
# What dciodvfy does not say: file, tag, and why it holds.
OURS = {
    (
        "252_pylibjpeg-data_JPEGLosslessP14SV1_1s_1f_u_16_16.dcm",
        "0028,0120",
    ): "an empty Pixel Padding Value pads nothing",
}


@pytest.fixture(scope="module")
def compared(corpus: Path) -> Compared:
    return compare(corpus)


def test_every_type_1_and_2_that_is_missing_or_empty_is_found(compared: Compared) -> None:
    missed = {(name, said) for name, kind, said in compared.missed if kind in ("1", "2")}

    assert {name for name, _ in missed} == set(NOT_ASKED)
    assert compared.said["1"] + compared.said["2"] > 300


def test_what_dciodvfy_does_not_say_is_explained_and_at_most_one_in_a_hundred(compared: Compared) -> None:
    assert {(name, finding.tag) for name, finding in compared.only_ours} == set(OURS)
    assert len(compared.only_ours) <= compared.ours / 100


def test_conditions_are_found_as_far_as_they_are_computed(compared: Compared) -> None:
    """Laterality is most of what is missed: dciodvfy asks for it where no body part is said."""
    assert compared.recall("1C") >= 0.8
    assert {said[1] for _, kind, said in compared.missed if kind == "2C"} == {"Laterality", "PatientOrientation"}
