"""A series becomes a volume, or a reason why it is none. Never a crash."""

from __future__ import annotations

from collections.abc import Callable

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2KLossless, JPEGLSLossless, RLELossless

from consumers.ai.volume import OutOfScope, Volume, volume_of
from radstream.phantom import chest_ct
from tests.chests import file_of, files_of

IMAGES, MATRIX = 6, 32


def series() -> list[Dataset]:
    return list(chest_ct(3, (0, IMAGES, 0), MATRIX))


def test_images_in_any_order_are_one_volume_in_hounsfield_units():
    datasets = series()
    files = files_of(datasets)
    volume = volume_of([files[index] for index in (3, 0, 5, 1, 4, 2)])
    assert isinstance(volume, Volume)
    lowest = min(datasets, key=lambda one: one.ImagePositionPatient[2])
    assert volume.sop_instance_uids[0] == lowest.SOPInstanceUID
    assert np.array_equal(volume.voxels[0], lowest.pixel_array.astype(int) - 1024)
    assert volume.headers[0].SOPInstanceUID == lowest.SOPInstanceUID
    assert "PixelData" not in volume.headers[0]
    assert volume.frame_of_reference_uid == lowest.FrameOfReferenceUID


def test_a_voxel_is_where_its_image_says():
    datasets = series()
    volume = volume_of(files_of(datasets))
    assert isinstance(volume, Volume)
    for index, uid in enumerate(volume.sop_instance_uids):
        dataset = next(one for one in datasets if uid == one.SOPInstanceUID)
        position, (down, along) = np.array(dataset.ImagePositionPatient, float), map(float, dataset.PixelSpacing)
        there = volume.affine @ (index, 5, 7, 1)
        assert np.allclose(there[:3], position + np.array((7 * along, 5 * down, 0)), atol=0.01)
    assert volume.spacing_mm[0] == pytest.approx(320 * 0.96 / IMAGES, rel=0.001)


def encode(dataset: Dataset, syntax: str) -> None:
    pixels = dataset.pixel_array
    if syntax == RLELossless:
        dataset.compress(RLELossless)
        return
    codestream = (imagecodecs.jpegls_encode if syntax == JPEGLSLossless else imagecodecs.htj2k_encode)(pixels)
    dataset.PixelData = encapsulate([codestream])
    dataset.file_meta.TransferSyntaxUID = syntax


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, HTJ2KLossless])
def test_compressed_images_are_the_same_volume(syntax: str):
    plain, datasets = volume_of(files_of(series())), series()
    for dataset in datasets:
        encode(dataset, syntax)
    volume = volume_of(files_of(datasets))
    assert isinstance(volume, Volume)
    assert isinstance(plain, Volume)
    assert np.array_equal(volume.voxels, plain.voxels)


@pytest.mark.parametrize(("slope", "intercept"), [(2, -3000), (1.5, -2000.5), (30_000, -40), (16_000, 500_000_000)])
def test_slope_and_intercept_are_applied_and_padding_is_air(slope: float, intercept: float):
    datasets = series()
    for dataset in datasets:
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
    volume = volume_of(files_of(datasets))
    assert isinstance(volume, Volume)
    exact = np.rint(datasets[-1].pixel_array.astype(np.float64) * slope + intercept)
    assert np.array_equal(volume.voxels[0], np.clip(exact, -1024, 32767))


def test_a_single_image_has_its_thickness_as_spacing():
    volume = volume_of(files_of(series()[:1]))
    assert isinstance(volume, Volume)
    assert volume.spacing_mm[0] == pytest.approx(float(series()[0].SliceThickness))


def test_a_tilted_gantry_is_a_sheared_volume():
    datasets = series()
    for dataset in datasets:
        x, y, z = map(float, dataset.ImagePositionPatient)
        dataset.ImageOrientationPatient = [1, 0, 0, 0, float(np.cos(0.3)), float(np.sin(0.3))]
        dataset.ImagePositionPatient = [x, y, z]
    volume = volume_of(files_of(datasets))
    assert isinstance(volume, Volume)
    assert volume.spacing_mm[0] == pytest.approx(320 * 0.96 / IMAGES * np.cos(0.3), rel=0.001)


def drop(name: str) -> Callable[[list[Dataset]], None]:
    return lambda datasets: delattr(datasets[2], name)


def put(name: str, value: object) -> Callable[[list[Dataset]], None]:
    return lambda datasets: setattr(datasets[2], name, value)


def missing_image(datasets: list[Dataset]) -> None:
    del datasets[2]


def same_place(datasets: list[Dataset]) -> None:
    datasets[2].ImagePositionPatient = datasets[3].ImagePositionPatient


def same_name(datasets: list[Dataset]) -> None:
    datasets[2].SOPInstanceUID = datasets[2].file_meta.MediaStorageSOPInstanceUID = datasets[3].SOPInstanceUID


def smaller(datasets: list[Dataset]) -> None:
    datasets[2].Rows = datasets[2].Columns = MATRIX // 2
    datasets[2].PixelData = datasets[2].PixelData[: MATRIX * MATRIX // 2]


def sagittal(datasets: list[Dataset]) -> None:
    for dataset in datasets:
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (drop("ImagePositionPatient"), "no_geometry"),
        (drop("ImageOrientationPatient"), "no_geometry"),
        (drop("PixelSpacing"), "no_geometry"),
        (drop("FrameOfReferenceUID"), "no_geometry"),
        (drop("PixelData"), "no_pixel_data"),
        (put("PixelSpacing", [0.0, 0.7]), "no_geometry"),
        (put("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]), "no_geometry"),
        (put("ImagePositionPatient", [0, 0, 1e30]), "no_geometry"),
        (put("RescaleSlope", 0), "no_units"),
        (put("PatientID", "SOMEBODY-ELSE"), "mixed_patients"),
        (put("IssuerOfPatientID", "ANOTHER HOSPITAL"), "mixed_patients"),
        (same_name, "duplicate_instances"),
        (put("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]), "localiser"),
        (put("PhotometricInterpretation", "PALETTE COLOR"), "not_gray"),
        (put("NumberOfFrames", 2), "multi_frame"),
        (put("FrameOfReferenceUID", "1.2.3"), "mixed_frames"),
        (put("ImageOrientationPatient", [0.8, 0.6, 0, -0.6, 0.8, 0]), "not_parallel"),
        (put("PixelSpacing", [1.0, 1.0]), "not_parallel"),
        (missing_image, "uneven_spacing"),
        (same_place, "duplicate_positions"),
        (smaller, "mixed_sizes"),
        (sagittal, "not_axial"),
    ],
)
def test_what_is_no_volume_is_out_of_scope(spoil: Callable[[list[Dataset]], None], code: str):
    datasets = series()
    spoil(datasets)
    found = volume_of(files_of(datasets))
    assert isinstance(found, OutOfScope)
    assert found.code == code


def test_too_few_images_are_out_of_scope():
    assert volume_of(files_of(series()[:3]), images_min=4) == OutOfScope(
        "too_few_images", "3 images; the model asks for 4."
    )
    assert isinstance(volume_of([]), OutOfScope)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_a_file_holds_ends_as_a_value(data: st.DataObject):
    good = file_of(series()[0])
    spoilt = bytearray(good)
    for _ in range(data.draw(st.integers(1, 12))):
        spoilt[data.draw(st.integers(128, 1600))] = data.draw(st.integers(0, 255))
    end = data.draw(st.sampled_from((len(good), len(good) - 1, 900, 140, 3)))
    assert isinstance(volume_of([bytes(spoilt[:end]), *files_of(series()[1:])]), Volume | OutOfScope)
