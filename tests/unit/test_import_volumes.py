"""NIfTI as CT, MR and PET: where voxels lie, and what they mean, is what the file says."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import nibabel
import numpy as np
import pytest
from pydicom.dataset import FileDataset

from tests.importing import DATED, call, errors, facts, objects

LPS = np.diag((-1.0, -1.0, 1.0, 1.0))
SIZES = (9, 7, 4)


def turned(*angles: float) -> np.ndarray:
    """A rotation about each of the three axes in turn."""
    made = np.eye(3)
    for axis, angle in enumerate(angles):
        one, other = (nth for nth in range(3) if nth != axis)
        step = np.eye(3)
        step[one, one] = step[other, other] = math.cos(angle)
        step[one, other], step[other, one] = -math.sin(angle), math.sin(angle)
        made = made @ step
    return made


def affine(directions: np.ndarray) -> np.ndarray:
    made = np.eye(4)
    made[:3, :3] = directions @ np.diag((0.7, 0.8, 2.5))
    made[:3, 3] = (10, -20, 30)
    return made


GEOMETRIES = {
    "as usual": affine(np.eye(3)),
    "radiological": affine(np.diag((-1.0, 1.0, 1.0))),
    "head first": affine(np.diag((1.0, 1.0, -1.0))),
    "sagittal": affine(np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])),
    "coronal": affine(np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]])),
    "oblique": affine(turned(0.3, -0.4, 0.5)),
    "oblique and mirrored": affine(turned(2.3, 1.4, -2.5) @ np.diag((1.0, -1.0, 1.0))),
    "gantry tilted": affine(np.eye(3)) @ np.array([[1.0, 0, 0, 0], [0, 1, 0.6, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
}


def by_place(made: list[FileDataset]) -> dict[tuple[float, ...], float]:
    """Every pixel's value by its place in mm, as PS3.3 section C.7.6.2.1.1 says where it lies."""
    found = {}
    for one in made:
        row, column = np.split(np.asarray(one.ImageOrientationPatient, float), 2)
        between_rows, between_columns = map(float, one.PixelSpacing)
        values = one.pixel_array * float(one.get("RescaleSlope", 1)) + float(one.get("RescaleIntercept", 0))
        for (r, c), value in np.ndenumerate(values):
            at = np.asarray(one.ImagePositionPatient, float) + row * between_columns * c + column * between_rows * r
            found[tuple(np.round(at, 3) + 0.0)] = float(value)
    return found


@pytest.mark.parametrize("name", GEOMETRIES)
def test_every_voxel_is_where_the_file_says(tmp_path: Path, name: str) -> None:
    voxels = np.arange(np.prod(SIZES), dtype=np.int16).reshape(SIZES) - 100
    nibabel.save(nibabel.Nifti1Image(voxels, GEOMETRIES[name]), tmp_path / "ct.nii")

    made = objects(tmp_path / "ct.nii", tmp_path / "out", *DATED, "--modality", "CT")

    wanted = {}
    for index, value in np.ndenumerate(voxels):
        place = LPS @ GEOMETRIES[name] @ (*index, 1)
        wanted[tuple(np.round(place[:3], 3) + 0.0)] = float(value)
    assert by_place(made) == wanted
    row, column = np.split(np.asarray(made[0].ImageOrientationPatient, float), 2)
    steps = np.diff([np.asarray(one.ImagePositionPatient, float) for one in made], axis=0)
    assert all(step @ np.cross(row, column) > 0 for step in steps)
    assert errors(tmp_path / "out") == []


def test_at_every_time_there_is_a_volume(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).integers(0, 4000, (*SIZES, 3), dtype=np.uint16)
    image = nibabel.Nifti1Image(voxels, GEOMETRIES["radiological"])
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = 2.0
    nibabel.save(image, tmp_path / "fmri.nii.gz")

    made = objects(tmp_path / "fmri.nii.gz", tmp_path / "out", *DATED, "--modality", "MR")

    assert [one.TemporalPositionIdentifier for one in made] == [1] * 4 + [2] * 4 + [3] * 4
    assert made[0].TemporalResolution == 2000
    assert len({one.SeriesInstanceUID for one in made}) == len({one.FrameOfReferenceUID for one in made}) == 1
    assert np.array_equal(made[5].pixel_array, voxels[:, ::-1, 1, 1].T)
    assert errors(tmp_path / "out") == []


def test_slope_and_intercept_are_the_files_own(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.arange(252, dtype=np.int16).reshape(SIZES), GEOMETRIES["as usual"])
    image.header.set_slope_inter(0.5, -1024)
    nibabel.save(image, tmp_path / "ct.nii")
    made = objects(tmp_path / "ct.nii", tmp_path / "out", *DATED, "--modality", "CT")
    assert {(float(one.RescaleSlope), float(one.RescaleIntercept), one.RescaleType) for one in made} == {
        (0.5, -1024, "HU")
    }
    assert sorted(np.concatenate([one.pixel_array.ravel() for one in made])) == list(range(252))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int32])
def test_what_does_not_fit_16_bits_is_right_to_half_a_step(tmp_path: Path, kind: type[np.generic]) -> None:
    voxels = (np.random.default_rng(1).normal(size=SIZES) * 1e6).astype(kind)
    nibabel.save(nibabel.Nifti1Image(voxels, GEOMETRIES["as usual"]), tmp_path / "map.nii")
    made = objects(tmp_path / "map.nii", tmp_path / "out", *DATED, "--modality", "MR")
    found, step = by_place(made), float(made[0].RescaleSlope)
    assert step < 2e-5 * np.ptp(voxels)
    for index, value in np.ndenumerate(voxels):
        place = tuple(np.round((LPS @ GEOMETRIES["as usual"] @ (*index, 1))[:3], 3) + 0.0)
        assert abs(found[place] - value) <= step * 0.501


def test_whole_numbers_kept_as_floating_point_stay_whole(tmp_path: Path) -> None:
    voxels = np.arange(252, dtype=np.float64).reshape(SIZES) - 50
    nibabel.save(nibabel.Nifti1Image(voxels, GEOMETRIES["as usual"]), tmp_path / "ct.nii")
    made = objects(tmp_path / "ct.nii", tmp_path / "out", *DATED, "--modality", "CT")
    assert sorted(np.concatenate([one.pixel_array.ravel() for one in made])) == list(range(-50, 202))
    assert (made[0].RescaleSlope, made[0].RescaleIntercept) == (1, 0)


def test_pet_says_what_it_needs_and_then_has_it(tmp_path: Path) -> None:
    voxels = np.abs(np.random.default_rng(1).normal(size=SIZES)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, GEOMETRIES["as usual"]), tmp_path / "pet.nii")
    told = tmp_path / "pet.toml"
    told.write_text("Units = 'BQML'\nDecayCorrection = 'NONE'\nActualFrameDuration = 600000\nSeriesTime = 10:11:12\n")

    done = call(tmp_path / "pet.nii", "--out", tmp_path / "out", *DATED, "--modality", "PT", "--attributes", told)
    assert done.exit_code == 2
    assert [line.split(",")[0].strip() for line in done.stderr.splitlines()[1:]] == ["FrameReferenceTime"]

    told.write_text(told.read_text() + "FrameReferenceTime = 0.0\n")
    made = objects(tmp_path / "pet.nii", tmp_path / "out", *DATED, "--modality", "PT", "--attributes", told)
    assert {float(one.RescaleIntercept) for one in made} == {0.0}
    found = np.concatenate([(one.pixel_array * float(one.RescaleSlope)).ravel() for one in made])
    assert np.allclose(sorted(found), sorted(voxels.ravel()), atol=float(made[0].RescaleSlope))
    assert errors(tmp_path / "out") == []


def test_a_file_that_unpacks_to_more_or_less_than_it_says_is_refused(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros(SIZES, np.int16), GEOMETRIES["as usual"])
    nibabel.save(image, tmp_path / "whole.nii")
    whole = (tmp_path / "whole.nii").read_bytes()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bomb.nii.gz").write_bytes(gzip.compress(whole + bytes(64 << 20)))
    (tmp_path / "in" / "cut.nii.gz").write_bytes(gzip.compress(whole)[:-30])
    (tmp_path / "in" / "short.nii").write_bytes(whole[:-30])
    lost = bytearray(whole)
    lost[252:256] = bytes(4)
    (tmp_path / "in" / "nowhere.nii").write_bytes(lost)

    done = call(tmp_path / "in", "--out", tmp_path / "out", *DATED, "--modality", "CT", "--json")

    assert done.exit_code == 1
    reasons = {Path(one["file"]).name: one["reason"] for one in facts(done)["files"]}
    assert "more than its header says" in reasons["bomb.nii.gz"]
    assert "cut off" in reasons["cut.nii.gz"]
    assert "cut off" in reasons["short.nii"]
    assert "sform and qform are 0" in reasons["nowhere.nii"]
