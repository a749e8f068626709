"""The generated chest CT: legal, repeatable, and as hard to compress as a real one."""

import io
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest

from infra.local.tools import checkers
from radstream.phantom import Study, chest_ct, encoded
from streams.identity import uid_has_leading_zero, uid_is_usable

SLICES = (2, 3, 3)


def bytes_of(seed: int, matrix: int = 64) -> list[bytes]:
    return [item.data_set() for item in encoded(seed, SLICES, matrix)]


def test_one_seed_makes_the_same_bytes_and_another_seed_other_ones():
    assert bytes_of(5) == bytes_of(5)
    assert not set(bytes_of(5)) & set(bytes_of(6))


def test_another_size_is_another_study():
    assert len({Study(5, SLICES, 64).uid, Study(5, SLICES, 128).uid, Study(5, (2, 3, 4), 64).uid}) == 3


def test_every_image_differs():
    assert len(set(bytes_of(5))) == sum(SLICES)


def test_uids_are_legal_and_unique():
    datasets = list(chest_ct(5, SLICES, 64))
    instances = {dataset.SOPInstanceUID for dataset in datasets}
    uids = {*instances, *(d.SeriesInstanceUID for d in datasets), *(d.StudyInstanceUID for d in datasets)}
    assert len(instances) == sum(SLICES)
    assert len(uids) == sum(SLICES) + 3 + 1
    assert all(uid_is_usable(uid) and not uid_has_leading_zero(uid) for uid in uids)


def test_the_quick_encoding_is_what_pydicom_writes():
    for dataset, item in zip(chest_ct(5, SLICES, 64), encoded(5, SLICES, 64), strict=True):
        written = io.BytesIO()
        pydicom.dcmwrite(written, dataset, implicit_vr=False, little_endian=True, force_encoding=False)
        assert written.getvalue().endswith(item.data_set())
        assert item.sop_instance == dataset.SOPInstanceUID


def test_pixels_are_a_chest_in_hounsfield_units():
    dataset = list(chest_ct(5, (0, 8, 0), 128))[4]
    hounsfield = dataset.pixel_array.astype(int) + int(dataset.RescaleIntercept)
    assert hounsfield.shape == (128, 128)
    assert dataset.pixel_array.max() < 2**dataset.BitsStored
    shares = [
        np.mean((hounsfield > low) & (hounsfield < high)) for low, high in ((-950, -700), (-50, 150), (300, 1200))
    ]
    assert shares[0] > 0.1, "lungs"
    assert shares[1] > 0.1, "soft tissue"
    assert shares[2] > 0.002, "bone"


def test_the_noise_is_as_hard_on_a_lossless_codec_as_a_real_scan():
    for dataset in list(chest_ct(5, (0, 3, 3), 512))[1::3]:
        pixels = dataset.pixel_array
        assert 1.8 < pixels.nbytes / len(imagecodecs.htj2k_encode(pixels, reversible=True)) < 3.6


def test_an_independent_validator_finds_no_error(tmp_path: Path):
    validator = checkers.find("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy is not there (Debian's package dicom3tools); `make test` unpacks it where apt is")
    for number, dataset in enumerate(chest_ct(5, (2, 1, 1), 64)):
        file = tmp_path / f"{number}.dcm"
        dataset.save_as(file, enforce_file_format=True)
        said = subprocess.run([validator, str(file)], capture_output=True, text=True, check=False).stderr
        assert "Error" not in said
        assert "Warning" not in said
