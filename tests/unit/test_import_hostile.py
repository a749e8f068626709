"""Files with bytes changed at random: each is imported or refused with a reason, and none ends the command."""

from __future__ import annotations

import random
from pathlib import Path

import imagecodecs
import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.importing import DATED, call, facts
from tests.unit.test_import_slides import pyramid
from tests.unit.test_import_video import video

EACH = 12


def png(folder: Path) -> Path:
    (folder / "a.png").write_bytes(imagecodecs.png_encode(np.arange(4096, dtype=np.uint16).reshape(64, 64)))
    return folder / "a.png"


def jpeg(folder: Path) -> Path:
    Image.fromarray(np.arange(4096, dtype=np.uint8).reshape(64, 64)).save(folder / "a.jpg", progressive=True)
    return folder / "a.jpg"


def tiff(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.tif", np.zeros((3, 20, 30), np.uint8), photometric="minisblack", compression="zlib")
    return folder / "a.tif"


def volume(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(np.zeros((5, 4, 3), np.float32), np.eye(4)), folder / "a.nii.gz")
    return folder / "a.nii.gz"


def mp4(folder: Path) -> Path:
    return video(folder / "a.mp4")


def slide(folder: Path) -> Path:
    return pyramid(folder / "s.tif", "jpeg")


@pytest.mark.parametrize("make", [png, jpeg, tiff, volume, mp4, slide])
def test_mutants_are_imported_or_refused(tmp_path: Path, make) -> None:
    whole, rng = make(tmp_path), random.Random(make.__name__)
    (tmp_path / "in").mkdir()
    for nth in range(EACH):
        data = bytearray(whole.read_bytes())
        for _ in range(rng.choice((1, 3, 20))):
            data[rng.randrange(min(len(data), rng.choice((200, 1000, len(data)))))] = rng.randrange(256)
        (tmp_path / "in" / f"{nth}{''.join(whole.suffixes)}").write_bytes(data)
    told = tmp_path / "slide.toml"
    told.write_text("ContainerIdentifier = 'S-1'\n")

    words = (*DATED, "--modality", "CT", "--with-label", "--attributes", told)
    done = call(tmp_path / "in", "--out", tmp_path / "out", *words, "--json")

    assert done.exit_code in (0, 1), (done.output, done.exception)
    assert len(facts(done)["files"]) == EACH
    assert all(one["reason"] or one["instances"] for one in facts(done)["files"])
