"""Pictures show what a person would see: window, polarity, palette, colour, the shape of pixels, and say what for."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Picture

from consumers.derive.config import Output
from consumers.derive.pack import Part
from consumers.derive.pictures import pictures
from streams import part10
from streams.rendering.notice import NOTICE
from tests import images

# Dark on the left, bright on the right.
RAMP: NDArray[np.int16] = np.tile(np.arange(-1024, 1024, 8, dtype=np.int16), (1, 128, 1))


def seen(data: bytes, side_px: int = 64) -> NDArray[np.uint8]:
    """(rows, columns, 3), as a browser would show it."""
    part = made(data, Output(thumbnail_px=side_px))["thumbnail"]
    picture = Picture.open(io.BytesIO(part.data))
    assert picture.format == "WEBP"
    assert picture.size == (part.columns, part.rows)
    return np.asarray(picture.convert("RGB"))


def made(data: bytes, output: Output = Output()) -> dict[str, Part]:  # noqa: B008 - it is frozen
    """The pictures by kind."""
    parts = pictures(part10.read(data), output)
    assert all(isinstance(part, Part) for part in parts), parts
    return {part.kind: part for part in parts if isinstance(part, Part)}


def test_the_longest_side_is_as_asked_and_the_shape_is_kept() -> None:
    assert seen(images.native(RAMP)).shape == (32, 64, 3)
    assert seen(images.native(RAMP), 100).shape == (50, 100, 3)


def test_pixels_that_are_not_square_are_shown_as_they_are() -> None:
    assert seen(images.native(RAMP, PixelSpacing=["2", "1"])).shape == (64, 64, 3)
    assert seen(images.native(RAMP, PixelAspectRatio=["1", "2"])).shape == (16, 64, 3)


def test_the_window_is_in_units_of_the_rescaled_values() -> None:
    plain = seen(images.native(RAMP, WindowCenter="0", WindowWidth="200"))
    rescaled = seen(
        images.native(RAMP, WindowCenter="-1000", WindowWidth="400", RescaleSlope="2", RescaleIntercept="-1000")
    )

    for picture in (plain, rescaled):
        assert picture[:, :25].max() < 20
        assert picture[:, 39:].min() > 235
        assert 60 < picture[:, 31:33].mean() < 195


def test_monochrome1_and_a_negative_slope_are_inverted() -> None:
    for data in (
        images.native(RAMP, photometric="MONOCHROME1", WindowCenter="0", WindowWidth="200"),
        images.native(RAMP, WindowCenter="0", WindowWidth="200", RescaleSlope="-1", RescaleIntercept="0"),
        images.native(RAMP, RescaleSlope="-1", RescaleIntercept="0"),
    ):
        picture = seen(data)
        assert picture[:, :5].mean() > 235
        assert picture[:, -5:].mean() < 20


def test_without_a_window_all_of_the_range_is_used() -> None:
    picture = seen(images.native(RAMP))

    assert picture[:, :2].mean() < 20
    assert picture[:, -2:].mean() > 235


def test_colour_is_shown_as_colour_whatever_it_is_stored_as() -> None:
    red = np.zeros((1, 64, 64, 3), np.uint8)
    red[..., 0] = 255
    ybr = np.asarray(Picture.fromarray(red[0]).convert("YCbCr"))[np.newaxis]
    halved = images.image(ybr, photometric="YBR_FULL_422")
    pair = bytes([ybr[0, 0, 0, 0], ybr[0, 0, 0, 0], ybr[0, 0, 0, 1], ybr[0, 0, 0, 2]])
    halved.add_new(0x7FE00010, "OB", pair * (64 * 32))
    jpeg = bytes(imagecodecs.jpeg8_encode(red[0]))
    j2k = bytes(imagecodecs.jpeg2k_encode(red[0], reversible=True))
    wide = red.astype(np.uint16) << 8

    for data in (
        images.native(red),
        images.native(red, "big"),
        images.native(wide),
        images.native(ybr, photometric="YBR_FULL"),
        images.written(halved),
        images.compressed(red, [jpeg], "1.2.840.10008.1.2.4.50", photometric="YBR_FULL_422"),
        images.compressed(red, [j2k], "1.2.840.10008.1.2.4.90", photometric="YBR_RCT"),
    ):
        r, g, b = seen(data).reshape(-1, 3).mean(axis=0)
        assert r > 225
        assert max(g, b) < 40


def test_a_palette_gives_indices_their_colours() -> None:
    indices = np.tile(np.repeat(np.arange(2, dtype=np.uint8), 32), (1, 64, 1))
    full, none = b"\xff\xff", b"\0\0"
    picture = seen(
        images.native(
            indices,
            photometric="PALETTE COLOR",
            RedPaletteColorLookupTableDescriptor=[2, 0, 16],
            GreenPaletteColorLookupTableDescriptor=[2, 0, 16],
            BluePaletteColorLookupTableDescriptor=[2, 0, 16],
            RedPaletteColorLookupTableData=full + none,
            GreenPaletteColorLookupTableData=none + none,
            BluePaletteColorLookupTableData=none + full,
        )
    )

    left, right = picture[:, 8:24].mean(axis=(0, 1)), picture[:, 40:56].mean(axis=(0, 1))
    assert left.argmax() == 0
    assert right.argmax() == 2


def test_single_bits_are_black_and_white() -> None:
    mask = np.zeros((3, 10, 10), np.uint8)
    mask[:, :, 5:] = 1
    made = images.image(mask, BitsAllocated=1, BitsStored=1, HighBit=0)
    made.add_new(0x7FE00010, "OB", np.packbits(mask, bitorder="little").tobytes())

    picture = seen(images.written(made))

    assert picture[:, :25].mean() < 20
    assert picture[:, -25:].mean() > 235


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        ("1.2.840.10008.1.2.4.70", lambda frame: imagecodecs.jpeg8_encode(frame, lossless=True)),
        ("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode),
        ("1.2.840.10008.1.2.4.90", lambda frame: imagecodecs.jpeg2k_encode(frame, reversible=True)),
        ("1.2.840.10008.1.2.4.201", lambda frame: imagecodecs.htj2k_encode(frame, reversible=True)),
    ],
)  # fmt: skip
def test_compressed_images_are_decoded(syntax: str, encode: object) -> None:
    frame = (RAMP[0].astype(np.int32) + 1024).astype(np.uint16)
    assert callable(encode)
    data = images.compressed(frame[np.newaxis], [bytes(encode(frame))], syntax, WindowCenter="1024", WindowWidth="200")

    picture = seen(data)

    assert picture[:, :25].max() < 20
    assert picture[:, 39:].min() > 235


def test_a_codestream_of_another_size_than_the_header_is_not_decoded() -> None:
    frame = np.zeros((64, 64), np.uint16)
    data = images.compressed(
        frame[np.newaxis, :32], [bytes(imagecodecs.jpegls_encode(frame))], "1.2.840.10008.1.2.4.80"
    )

    assert pictures(part10.read(data), Output()) == ["undecodable"]


def test_a_preview_is_no_larger_than_the_image_and_says_what_it_is_not_for() -> None:
    parts = made(images.native(RAMP))
    preview = Picture.open(io.BytesIO(parts["preview"].data))
    shrunk = Picture.open(io.BytesIO(made(images.native(RAMP), Output(preview_px=128))["preview"].data))

    assert preview.format == "JPEG"
    assert (preview.width, shrunk.width) == (256, 128)
    assert preview.info["comment"] == NOTICE.encode()
    assert Picture.open(io.BytesIO(parts["thumbnail"].data)).getexif()[0x010E] == NOTICE
    # The text stands below the image: as many rows as the image has are the image's, and the rest has light on dark.
    below = np.asarray(preview)[128:]
    assert below.shape[0] > 0
    assert below.max() > 150 > 60 > int(np.median(below))


def test_what_was_left_out_as_broken_is_a_note_beside_the_pictures() -> None:
    found = pictures(part10.read(images.native(RAMP, WindowCenter="1", WindowWidth="0")), Output())

    assert [one if isinstance(one, str) else one.kind for one in found] == ["thumbnail", "preview", "window_broken"]


def test_what_is_for_processing_says_so() -> None:
    parts = made(images.native(RAMP, PresentationIntentType="FOR PROCESSING"))

    assert b"For processing" in Picture.open(io.BytesIO(parts["preview"].data)).info["comment"]


def test_many_frames_have_a_strip_from_the_first_to_the_last() -> None:
    frames = np.zeros((30, 32, 32), np.uint8)
    frames[:] = np.arange(30, dtype=np.uint8)[:, None, None] * 8
    parts = made(images.native(frames), Output(strip_frames=4))
    strip = Picture.open(io.BytesIO(parts["strip"].data))
    middles = np.asarray(strip)[64, 64::128]

    assert strip.size == (4 * 128, 128 + 20)  # with what it is not for
    assert list(np.abs(middles.astype(int) - [0, 80, 152, 232]) < 4) == [True] * 4
    assert b"Frames 1, 11, 20, 30." in strip.info["comment"]
    assert "strip" not in made(images.native(frames[:1]))
    assert "strip" not in made(images.native(frames), Output(strip_frames=0))


def test_a_strip_says_what_it_is_not_for_where_a_person_sees_it() -> None:
    frames = np.zeros((2, 32, 32), np.uint8)
    parts = made(images.native(frames, PresentationIntentType="FOR PROCESSING"))
    strip = Picture.open(io.BytesIO(parts["strip"].data))

    assert (np.asarray(strip)[128:] > 128).any()
    assert b"For processing" in strip.info["comment"]


def test_a_frame_that_cannot_be_shown_takes_no_picture_of_another_away() -> None:
    frames = np.zeros((3, 32, 32), np.uint8)
    whole = bytes(imagecodecs.jpegls_encode(frames[0]))
    data = images.compressed(frames, [b"\0\0", whole, whole], "1.2.840.10008.1.2.4.80")
    found = pictures(part10.read(data), Output())

    assert [one if isinstance(one, str) else one.kind for one in found] == ["thumbnail", "preview", "undecodable"]
