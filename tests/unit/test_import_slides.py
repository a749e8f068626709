"""Whole-slide images as DICOM: a level an object, tiles as they were, labels only where a person asks for them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile
from pydicom.dataset import FileDataset

from radstream.importing.jpeg_segments import read
from tests.importing import DATED, PATIENT, call, errors, facts, objects

Y, X = np.mgrid[0:600, 0:900]
PICTURE = np.stack([X // 4, Y // 3, (X + Y) // 6], -1).astype(np.uint8)
STEPS = (1, 4)


def pyramid(path: Path, compression: str) -> Path:
    """Two levels of tiles, a pixel of the largest being half a thousandth of a mm."""
    with tifffile.TiffWriter(path) as file:
        for step in STEPS:
            file.write(
                np.ascontiguousarray(PICTURE[::step, ::step]),
                tile=(256, 256),
                photometric="rgb",
                compression=compression,
                resolution=(20_000 / step, 20_000 / step),
                resolutionunit="CENTIMETER",
                subfiletype=1 if step > 1 else 0,
                metadata=None,
            )
    return path


def words(folder: Path) -> Sequence[object]:
    told = folder / "slide.toml"
    told.write_text("ContainerIdentifier = 'S-4711'\n")
    return (*DATED, "--attributes", told)


def whole(made: FileDataset) -> np.ndarray:
    """(rows, columns, 3): the tiles in their places, row by row (PS3.3 section C.7.6.17.3)."""
    tiles = made.pixel_array if made.NumberOfFrames > 1 else made.pixel_array[np.newaxis]
    across = -(-made.TotalPixelMatrixColumns // made.Columns)
    rows = [np.concatenate(list(tiles[at : at + across]), axis=1) for at in range(0, len(tiles), across)]
    return np.concatenate(rows)[: made.TotalPixelMatrixRows, : made.TotalPixelMatrixColumns]


def test_tiles_of_jpeg_are_kept(tmp_path: Path) -> None:
    path = pyramid(tmp_path / "slide.tif", "jpeg")

    made = objects(path, tmp_path / "out", *words(tmp_path))

    assert [(one.TotalPixelMatrixRows, one.TotalPixelMatrixColumns) for one in made] == [(600, 900), (150, 225)]
    assert [list(one.ImageType)[3] for one in made] == ["NONE", "RESAMPLED"]
    spacings = [one.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing for one in made]
    assert [list(map(float, one)) for one in spacings] == [[0.0005, 0.0005], [0.002, 0.002]]
    with tifffile.TiffFile(path) as file:
        for one, page in zip(made, file.pages, strict=True):
            difference = np.abs(whole(one).astype(int) - page.asarray().astype(int))
            # Decoders of the same coefficients differ in rounding, and a second encoding by far more.
            assert difference.max() <= 3
    assert len({one.SeriesInstanceUID for one in made}) == len({one.FrameOfReferenceUID for one in made}) == 1
    assert errors(tmp_path / "out") == []


def test_other_tiles_are_coded_anew_and_that_is_said(tmp_path: Path) -> None:
    path = pyramid(tmp_path / "slide.tif", "zlib")

    made = objects(path, tmp_path / "out", *words(tmp_path))
    done = call(path, "--out", tmp_path / "out", *words(tmp_path), "--json")

    assert {one.LossyImageCompression for one in made} == {"01"}
    assert "tiles of 2 of its 2 levels are coded anew" in facts(done)["files"][0]["notes"][1]
    for one, step in zip(made, STEPS, strict=True):
        assert np.median(np.abs(whole(one).astype(int) - PICTURE[::step, ::step])) <= 2
    assert errors(tmp_path / "out") == []


def test_of_a_scanners_file_the_label_is_taken_only_when_asked_for(tmp_path: Path) -> None:
    path, made_by = tmp_path / "slide.svs", "Aperio Image Library v11.2.1 \r\n"
    said = "900x600 [0,0 900x600] (256x256) JPEG/RGB Q=70|MPP = 0.5|Date = 12/29/09|Time = 09:59:15|User = Testperson"
    with tifffile.TiffWriter(path) as file:
        jpeg = {"photometric": "rgb", "compression": "jpeg", "metadata": None}
        file.write(PICTURE, tile=(256, 256), description=f"{made_by}{said}", **jpeg)
        file.write(PICTURE[::6, ::6].copy(), description=f"{made_by}900x600 -> 150x100", **jpeg)
        file.write(PICTURE[::4, ::4].copy(), tile=(256, 256), description=f"{made_by}900x600 -> 225x150", **jpeg)
        file.write(PICTURE[:60, :80].copy(), description=f"{made_by}label 80x60", subfiletype=1, **jpeg)

    without = objects(path, tmp_path / "1", *PATIENT, *words(tmp_path)[-2:])
    made = objects(path, tmp_path / "2", *PATIENT, *words(tmp_path)[-2:], "--with-label")

    assert [list(one.ImageType)[2] for one in without] == ["VOLUME", "VOLUME"]
    assert [list(one.ImageType)[2] for one in made] == ["VOLUME", "VOLUME", "LABEL"]
    assert (made[2].SpecimenLabelInImage, made[2].BurnedInAnnotation) == ("YES", "YES")
    assert (made[0].AcquisitionDateTime, made[0].Manufacturer) == ("20091229095915", "aperio")
    assert not any(b"User" in file.read_bytes() for file in (tmp_path / "2").iterdir())
    assert errors(tmp_path / "2") == []


def test_what_names_a_slide_and_its_time_is_asked_for(tmp_path: Path) -> None:
    path = pyramid(tmp_path / "slide.tif", "jpeg")
    done = call(path, "--out", tmp_path / "out", "--patient-id", "1", "--patient-name", "A^B", "--date", "2026-01-02")
    assert done.exit_code == 2
    assert "--date 2026-11-23T08:15" in done.stderr
    assert "ContainerIdentifier" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_kept_tile_is_one_picture_with_its_tables() -> None:
    stream = imagecodecs.jpeg8_encode(PICTURE, level=80)
    assert read(stream).stream[-2:] == b"\xff\xd9"
    assert np.array_equal(imagecodecs.jpeg8_decode(read(stream).stream), imagecodecs.jpeg8_decode(stream))
