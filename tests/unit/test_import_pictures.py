"""PNG, TIFF and JPEG as DICOM: pixels as they were, or it says what was done to them."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps
from pydicom.encaps import generate_frames

from streams.rendering.files import picture_of
from streams.rendering.render import Wanted, shown
from streams.rendering.source import opened
from tests.importing import DATED, PATIENT, call, errors, facts, objects, one

RANDOM = np.random.default_rng(4711)
CAPTURE, GREY_BYTE, GREY_WORD, COLOUR = (f"1.2.840.10008.5.1.4.1.1.7{end}" for end in ("", ".2", ".3", ".4"))
PHOTO, ENDOSCOPIC = "1.2.840.10008.5.1.4.1.1.77.1.4", "1.2.840.10008.5.1.4.1.1.77.1.1"


def noise(*shape: int, kind: type[np.generic] = np.uint8) -> np.ndarray:
    return RANDOM.integers(0, np.iinfo(kind).max, shape, dtype=kind, endpoint=True)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 3)], ids=["grey", "colour"])
def test_pixels_of_a_png_are_kept(tmp_path: Path, shape: tuple[int, ...], kind: type[np.generic]) -> None:
    pixels = noise(*shape, kind=kind)
    (tmp_path / "shot.png").write_bytes(imagecodecs.png_encode(pixels))

    made = one(tmp_path / "shot.png", tmp_path / "out")

    assert np.array_equal(made.pixel_array, pixels)
    assert (made.SOPClassUID, made.Modality, made.PatientID, made.LossyImageCompression) == (
        CAPTURE,
        "OT",
        "P-4711",
        "00",
    )
    assert errors(tmp_path / "out") == []


def test_palettes_become_colours_and_what_is_transparent_white(tmp_path: Path) -> None:
    coloured = Image.fromarray(noise(7, 9, 3)).convert("P")
    coloured.save(tmp_path / "p.png")
    clear = noise(6, 8, 4)
    clear[0, 0], clear[0, 1, 3] = (1, 2, 3, 0), 255
    Image.fromarray(clear).save(tmp_path / "clear.png")

    assert np.array_equal(one(tmp_path / "p.png", tmp_path / "1").pixel_array, np.asarray(coloured.convert("RGB")))
    laid = one(tmp_path / "clear.png", tmp_path / "2").pixel_array
    assert laid[0, 0].tolist() == [255, 255, 255]
    assert np.array_equal(laid[0, 1], clear[0, 1, :3])


def test_pages_that_are_alike_become_frames(tmp_path: Path) -> None:
    bytes_, words, colours = noise(3, 7, 9), noise(4, 7, 9, kind=np.uint16), noise(2, 6, 5, 3)
    with tifffile.TiffWriter(tmp_path / "pages.tif") as file:
        for pixels in (*bytes_, *words):
            file.write(pixels, photometric="minisblack", compression="zlib", metadata=None)
        for pixels in colours:
            file.write(pixels, photometric="rgb", metadata=None)

    made = objects(tmp_path / "pages.tif", tmp_path / "out")

    assert [(one.SOPClassUID, one.NumberOfFrames) for one in made] == [(GREY_BYTE, 3), (GREY_WORD, 4), (COLOUR, 2)]
    for found, pixels in zip(made, (bytes_, words, colours), strict=True):
        assert np.array_equal(found.pixel_array, pixels)
    assert errors(tmp_path / "out") == []


def test_white_that_is_zero_is_turned_round_and_said(tmp_path: Path) -> None:
    pixels = noise(7, 9)
    tifffile.imwrite(tmp_path / "scan.tif", pixels, photometric="miniswhite", datetime="2020:03:04 05:06:07")

    done = call(tmp_path / "scan.tif", "--out", tmp_path / "out", *PATIENT, "--json")
    made = one(tmp_path / "scan.tif", tmp_path / "out", *PATIENT)

    assert np.array_equal(made.pixel_array, 255 - pixels)
    assert (made.PhotometricInterpretation, made.StudyDate, made.ContentTime) == ("MONOCHROME2", "20200304", "050607")
    assert "white is 0" in facts(done)["files"][0]["notes"][0]


@pytest.mark.parametrize(("as_", "sampling"), [("capture", 0), ("capture", 1), ("photo", 2), ("endoscopy", 0)])
def test_a_baseline_codestream_is_kept_but_for_what_describes_it(tmp_path: Path, as_: str, sampling: int) -> None:
    secret = Image.Exif()
    secret[0x010E] = "Testperson in a garden"
    path = tmp_path / "photo.jpg"
    Image.fromarray(noise(24, 40, 3)).save(path, subsampling=sampling, exif=secret, comment=b"Testperson")

    made = one(path, tmp_path / "out", *DATED, "--as", as_)

    kind = {"capture": (CAPTURE, "OT"), "photo": (PHOTO, "XC"), "endoscopy": (ENDOSCOPIC, "ES")}[as_]
    assert (made.SOPClassUID, made.Modality, made.PhotometricInterpretation) == (*kind, "YBR_FULL_422")
    assert (made.file_meta.TransferSyntaxUID, made.LossyImageCompression) == ("1.2.840.10008.1.2.4.50", "01")
    (stream,) = generate_frames(made.PixelData, number_of_frames=1)
    assert b"Testperson" not in stream
    pixels = imagecodecs.jpeg8_decode(path.read_bytes())
    assert np.array_equal(imagecodecs.jpeg8_decode(stream), pixels)
    # Decoders differ in how they round, and in how they fill in half the colours.
    assert np.median(np.abs(made.pixel_array.astype(int) - pixels)) <= (1 if sampling == 0 else 40)
    assert errors(tmp_path / "out") == []


def test_a_picture_that_was_held_turned_is_upright(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for orientation in range(2, 9):
        held = Image.Exif()
        held[0x0112] = orientation
        Image.fromarray(noise(16, 24)).save(tmp_path / "in" / f"turned_{orientation}.jpg", exif=held)

    made = objects(tmp_path / "in", tmp_path / "out")

    assert [int(one.InstanceNumber) for one in made] == list(range(2, 9))
    for found in made:
        with Image.open(tmp_path / "in" / f"turned_{found.InstanceNumber}.jpg") as opened:
            assert np.array_equal(found.pixel_array, np.asarray(ImageOps.exif_transpose(opened)))
        assert (found.file_meta.TransferSyntaxUID, found.LossyImageCompression) == ("1.2.840.10008.1.2.1", "01")


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """As Pillow shows a picture that was held so."""
    picture = Image.fromarray(pixels)
    picture.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(picture))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("shape", [(7, 9), (7, 9, 3)], ids=["grey", "colour"])
def test_a_tiff_that_was_held_turned_is_upright_and_says_so(
    tmp_path: Path, shape: tuple[int, ...], orientation: int
) -> None:
    pixels = noise(*shape)
    tifffile.imwrite(tmp_path / "held.tif", pixels, extratags=[(274, "H", 1, orientation, True)], metadata=None)

    done = call(tmp_path / "held.tif", "--out", tmp_path / "said", *DATED, "--json")
    made = one(tmp_path / "held.tif", tmp_path / "out")

    assert np.array_equal(made.pixel_array, turned(pixels, orientation))
    said = "it was held turned, so it is stored upright" in facts(done)["files"][0]["notes"]
    assert said == (orientation != 1)


def test_pages_that_were_held_differently_are_each_upright(tmp_path: Path) -> None:
    pages = [(noise(7, 9), 1), (noise(9, 7), 6), (noise(7, 9), 3), (noise(7, 9), 8)]
    with tifffile.TiffWriter(tmp_path / "pages.tif") as file:
        for pixels, orientation in pages:
            file.write(pixels, extratags=[(274, "H", 1, orientation, True)], metadata=None)

    made = objects(tmp_path / "pages.tif", tmp_path / "out")

    assert [(found.get("NumberOfFrames", 1), found.Rows, found.Columns) for found in made] == [(3, 7, 9), (1, 9, 7)]
    frames = [*made[0].pixel_array, made[1].pixel_array]
    for frame, (pixels, orientation) in zip(frames, pages, strict=True):
        assert np.array_equal(frame, turned(pixels, orientation))


FAX = {"resolution": (204, 98), "resolutionunit": 2, "metadata": None}
NOT_SQUARE = "its pixels are no squares, which is said in it (Pixel Aspect Ratio)"


@pytest.mark.parametrize(("orientation", "ratio", "size"), [(1, [102, 49], (20, 21)), (6, [49, 102], (21, 20))])
def test_a_fax_whose_pixels_are_no_squares_is_not_flattened(
    tmp_path: Path, orientation: int, ratio: list[int], size: tuple[int, int]
) -> None:
    held = [(274, "H", 1, orientation, True)]
    tifffile.imwrite(tmp_path / "fax.tif", noise(10, 20), extratags=held, **FAX)

    done = call(tmp_path / "fax.tif", "--out", tmp_path / "out", *DATED, "--json")
    made = one(tmp_path / "fax.tif", tmp_path / "out")

    assert made.PixelAspectRatio == ratio
    assert NOT_SQUARE in facts(done)["files"][0]["notes"]
    (path,) = (tmp_path / "out").glob("*.dcm")
    assert picture_of(shown(opened(path.read_bytes()), Wanted())).size == size
    assert errors(tmp_path / "out") == []


def test_pages_of_other_pixels_are_objects_of_their_own(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "pages.tif") as file:
        file.write(noise(10, 20), **FAX)
        file.write(noise(10, 20), metadata=None)

    made = objects(tmp_path / "pages.tif", tmp_path / "out")

    assert [found.get("PixelAspectRatio") for found in made] == [[102, 49], None]


@pytest.mark.parametrize(
    ("density", "ratio"),
    [
        ((300, 300), None),
        ((300, 299), None),  # Rounded.
        ((300, 0), None),
        ((300, 1), None),  # Nobody's pixels are that flat: one of the two is not said.
        ((200, 100), [2, 1]),
        ((100, 200), [1, 2]),
    ],
)
def test_png_and_jpeg_say_that_their_pixels_are_no_squares(
    tmp_path: Path, density: tuple[int, int], ratio: list[int] | None
) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(noise(16, 24)).save(tmp_path / "in" / "dense_1.png", dpi=density)
    Image.fromarray(noise(16, 24)).save(tmp_path / "in" / "dense_2.jpg", dpi=density)

    done = call(tmp_path / "in", "--out", tmp_path / "out", *DATED, "--json")
    made = objects(tmp_path / "in", tmp_path / "out")

    assert [found.get("PixelAspectRatio") for found in made] == [ratio, ratio]
    assert [NOT_SQUARE in file["notes"] for file in facts(done)["files"]] == [ratio is not None] * 2


def test_a_progressive_picture_is_decoded_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "web.jpg"
    Image.fromarray(noise(24, 40, 3)).save(path, progressive=True)
    made = one(path, tmp_path / "out")
    assert np.array_equal(made.pixel_array, imagecodecs.jpeg8_decode(path.read_bytes()))
    assert made.LossyImageCompression == "01"


REASONS = {
    "print.jpg": "CMYK",
    "float.tif": "floating point",
    "cut.jpg": "cut off",
    "cut.png": "damaged",
    "cut.tif": "damaged",
    "bomb.png": "more pixels than it can hold",
    "empty.png": "empty",
    "text.png": "none of NIfTI",
    "image.dcm": "radstream send",
}


def test_what_cannot_be_imported_says_why_and_the_rest_goes_on(tmp_path: Path) -> None:
    folder, good = tmp_path / "in", imagecodecs.png_encode(noise(90, 90))
    folder.mkdir()
    Image.fromarray(noise(8, 8, 3)).convert("CMYK").save(folder / "print.jpg")
    tifffile.imwrite(folder / "float.tif", np.ones((4, 4), np.float32))
    tifffile.imwrite(folder / "cut.tif", noise(64, 64), compression="zlib")
    (folder / "cut.tif").write_bytes((folder / "cut.tif").read_bytes()[:-2000])
    Image.fromarray(noise(64, 64)).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:-200])
    (folder / "cut.png").write_bytes(good[:-500])
    (folder / "bomb.png").write_bytes(good[:16] + b"\0\0\xff\xff\0\0\xff\xff" + good[24:])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_bytes(b"hello" * 100)
    (folder / "image.dcm").write_bytes(bytes(128) + b"DICM" + bytes(300))
    (folder / "good.png").write_bytes(good)

    done = call(folder, "--out", tmp_path / "out", *DATED, "--json")

    assert done.exit_code == 1
    reasons = {Path(one["file"]).name: one["reason"] for one in facts(done)["files"]}
    assert reasons.pop("good.png") is None
    assert {name: why for name, why in REASONS.items() if why not in reasons[name]} == {}
    assert len(list((tmp_path / "out").iterdir())) == 1
