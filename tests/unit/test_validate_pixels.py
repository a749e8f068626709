"""What is said of pixel data that does not fit its header, itself or its transfer syntax."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset

from consumers.validate import pixels
from consumers.validate.config import Limits
from streams import part10
from streams.pixels.claims import Undecodable
from streams.pixels.codecs import decode
from streams.pixels.image import Image
from streams.sandbox import dcmtk, decoding
from tests import images

GREY = np.arange(96, dtype=np.uint16).reshape(2, 8, 6)
BYTES = np.zeros((1, 8, 6), np.uint8)
RGB = np.zeros((1, 8, 6, 3), np.uint8)
JPEG, JPEG_LS, JPEG_2000, HTJ2K = (f"1.2.840.10008.1.2.4.{number}" for number in ("50", "80", "90", "201"))
CODED = [bytes(imagecodecs.jpegls_encode(frame)) for frame in GREY]
CODED_JPEG = [bytes(imagecodecs.jpeg8_encode(BYTES[0]))]
SLOPE = np.add.outer(np.arange(96), np.arange(64) * 2).astype(np.uint8)[None]
SLOPED_JPEG = bytes(imagecodecs.jpeg8_encode(SLOPE[0], level=95))
SLOPE_2000 = bytes(imagecodecs.jpeg2k_encode(SLOPE[0], codecformat="j2k", reversible=True))


def boxed(codestream: bytes) -> bytes:
    """A JP2 with a box of text behind its codestream (ISO/IEC 15444-1 annex I)."""
    whole = bytes(imagecodecs.jpeg2k_encode(SLOPE[0], codecformat="jp2", reversible=True))
    at = whole.index(b"jp2c")
    text = b"<note>" + b"x" * 2000 + b"</note>"
    inside = struct.pack(">I", len(codestream) + 8) + b"jp2c" + codestream
    return whole[: at - 4] + inside + struct.pack(">I", len(text) + 8) + b"xml " + text


def wavelets(frame: np.ndarray[tuple[int, ...], np.dtype[np.integer]], *, reversible: bool = True) -> list[bytes]:
    return [bytes(imagecodecs.htj2k_encode(frame, reversible=reversible))]


def found(data: bytes, limits: Limits | None = None) -> set[str]:
    return {name for name, _ in pixels.check(part10.read(data), limits or Limits(), is_image=True)}


def palette(count: int = 256, bits: int = 8, length: int = 256, *, tables: bool = True) -> bytes:
    made = images.image(BYTES, photometric="PALETTE COLOR")
    for number in (1, 2, 3):
        made.add_new(0x00281100 + number, "US", [count, 0, bits])
        if tables:
            made.add_new(0x00281200 + number, "OW", bytes(length))
    made.add_new(0x7FE00010, "OW", BYTES.tobytes())
    return images.written(made)


def extended(offsets: list[int], lengths: list[int], *, table: bool = False) -> bytes:
    whole: Dataset = images.image(GREY)
    whole.add_new(0x7FE00001, "OV", struct.pack(f"<{len(offsets)}Q", *offsets))
    whole.add_new(0x7FE00002, "OV", struct.pack(f"<{len(lengths)}Q", *lengths))
    whole.add_new(0x7FE00010, "OB", images.encapsulate(CODED, has_bot=table))
    whole["PixelData"].is_undefined_length = True
    return images.written(whole, images.UID(JPEG_LS))


def floating(bits: int) -> bytes:
    made = images.image(np.zeros((1, 8, 6), np.uint32), BitsAllocated=bits)
    made.add_new(0x7FE00008, "OF", bytes(8 * 6 * bits // 8))
    return images.written(made)


def overlaid() -> bytes:
    """An overlay in a bit that the pixels leave (PS3.5 section 8.1.2, retired)."""
    made = images.image(GREY, bits_stored=12)
    made.add_new(0x60000100, "US", 16)
    made.add_new(0x60000102, "US", 15)
    made.add_new(0x7FE00010, "OW", (GREY | 0x8000).tobytes())
    return images.written(made)


EVEN = [len(one) + len(one) % 2 for one in CODED]

SOUND = {
    "grey": images.native(GREY),
    "signed": images.native(GREY.astype(np.int16) - 40, bits_stored=12),
    "colour": images.native(RGB),
    "jpeg-ls": images.compressed(GREY, CODED, JPEG_LS),
    "jpeg-ls-no-table": images.compressed(GREY, CODED, JPEG_LS, table=False),
    "jpeg": images.compressed(BYTES, CODED_JPEG, JPEG),
    "htj2k-colour": images.compressed(RGB, wavelets(RGB[0]), HTJ2K, photometric="YBR_RCT"),
    "palette": palette(),
    "palette-words": palette(256, 16, 512),
    "extended": extended([0, EVEN[0] + 8], [len(one) for one in CODED]),
    "float": floating(32),
    "overlay-of-old": overlaid(),
}


@pytest.mark.parametrize("name", SOUND)
def test_what_is_sound_has_no_finding(name: str) -> None:
    assert found(SOUND[name]) == set()


@pytest.mark.parametrize(
    ("data", "rules"),
    [
        (images.native(GREY, BitsAllocated=12, BitsStored=12, HighBit=11), {"bits_allocated", "pixel_length_excess"}),
        (images.native(GREY, BitsStored=17), {"bits_stored"}),
        (images.native(GREY, BitsStored=12, HighBit=15), {"high_bit"}),
        (images.native(GREY, PixelRepresentation=None), {"pixel_representation"}),
        (images.native(GREY, photometric="RGB"), {"photometric_samples"}),
        (images.native(RGB, photometric="YBR_RCT"), {"photometric_syntax"}),
        (images.native(RGB, PlanarConfiguration=None), {"planar_configuration"}),
        (images.native(GREY | 0x1000, bits_stored=12), {"bits_beyond_stored"}),
        (images.native(GREY.astype(np.int16) - 3000, bits_stored=12), {"bits_beyond_stored"}),
        (images.compressed(BYTES, CODED_JPEG, JPEG, LossyImageCompression="00"), {"lossy_flag"}),
        (
            images.compressed(BYTES, CODED_JPEG, JPEG, photometric="PALETTE COLOR"),
            {"photometric_syntax", "palette_missing"},
        ),
        (images.compressed(GREY[:1], wavelets(GREY[0].astype(np.int16)), HTJ2K), {"codestream_sign"}),
        (images.compressed(GREY[:1], wavelets(GREY[0]), HTJ2K, bits_stored=12), {"codestream_precision"}),
        (images.compressed(BYTES, wavelets(BYTES[0], reversible=False), HTJ2K), {"codestream_lossy"}),
        (images.compressed(GREY, [CODED[0], CODED[1][:-40]], JPEG_LS), {"pixels_undecodable", "codestream_cut"}),
        # Decoders fill up what is missing.
        (images.compressed(SLOPE, [SLOPED_JPEG[:-200]], JPEG), {"codestream_cut"}),
        (images.compressed(SLOPE, [wavelets(SLOPE[0])[0][:-20]], HTJ2K), {"codestream_cut"}),
        # Writers fill up what is behind the end.
        *(
            (images.compressed(BYTES, [CODED_JPEG[0] + fill * 300], JPEG), set[str]())
            for fill in (b"\0", b"\xff", b" ", b"\0" * 40, b"\xff" * 400)
        ),
        (images.compressed(SLOPE, [SLOPED_JPEG[:-200] + bytes(4096)], JPEG), {"codestream_cut"}),
        # A whole JP2 has boxes behind its codestream.
        (images.compressed(SLOPE, [boxed(SLOPE_2000)], JPEG_2000), set[str]()),
        (images.compressed(SLOPE, [boxed(SLOPE_2000[:-2])], JPEG_2000), {"codestream_cut", "pixels_undecodable"}),
        (images.compressed(GREY, CODED, "1.2.840.10008.1.2.4.92"), {"decoder_absent"}),
        (palette(tables=False), {"palette_missing"}),
        (palette(bits=12), {"palette_descriptor"}),
        (palette(count=0), {"palette_length"}),
        (extended([0, 4], [4, 4]), {"offset_table_extended"}),
        (extended([0, EVEN[0] + 8], EVEN, table=True), {"offset_table_extended"}),
        (floating(16), {"float_bits"}),
    ],
)
def test_what_does_not_fit_is_found(data: bytes, rules: set[str]) -> None:
    assert found(data) == rules


def test_an_offset_table_that_points_elsewhere_is_found() -> None:
    data = images.compressed(GREY, CODED, JPEG_LS)
    second = struct.pack("<I", EVEN[0] + 8)

    assert found(data.replace(second, struct.pack("<I", EVEN[0] + 6), 1)) == {"offset_table"}


def test_a_table_that_the_file_ends_within_is_short_pixel_data() -> None:
    whole = images.compressed(GREY, CODED, JPEG_LS)
    at = whole.index(b"\xe0\x7f\x10\x00OB") + 12

    assert found(whole[:at] + b"\xfe\xff\x00\xe0\x00\x01\x00\x00" + bytes(16)) == {"pixel_length"}


def test_of_more_pixels_than_the_budget_first_middle_and_last_are_decoded() -> None:
    frames = np.repeat(GREY[:1], 5, 0)
    limits = Limits(decoded_bytes_max=200)

    def with_broken(index: int) -> bytes:
        coded = [CODED[0]] * 5
        coded[index] = b"\xff\xd8\xff\xd9"
        return images.compressed(frames, coded, JPEG_LS)

    for index in (0, 2, 4):
        assert found(with_broken(index), limits) == {"pixels_not_all_checked", "pixels_undecodable"}
    assert found(with_broken(1), limits) == {"pixels_not_all_checked"}
    assert found(with_broken(1)) == {"pixels_undecodable"}


def test_a_frame_beyond_the_budget_is_not_decoded() -> None:
    limits = Limits(frame_bytes_max=10)

    assert found(images.compressed(GREY, CODED, JPEG_LS), limits) == {"decoder_too_large"}
    assert found(images.native(GREY), limits) == {"pixels_not_all_checked"}


TWELVE = Image("1.2.840.10008.1.2.4.51", 16, 24, 1, 1, 16, 12, 11, False, False, "MONOCHROME2")


def twelve() -> bytes:
    frame = (np.arange(16 * 24).reshape(16, 24) * 10).astype(np.uint16)
    return bytes(imagecodecs.jpeg8_encode(frame, level=95, bitspersample=12))


def test_two_decoders_agree_on_a_jpeg_of_twelve_bits() -> None:
    coded = twelve()
    assert dcmtk.may_know(coded, TWELVE)
    by_dcmtk = dcmtk.decode(coded, TWELVE)
    if by_dcmtk is None:
        pytest.skip("dcmdjpeg of DCMTK is not installed")

    assert np.array_equal(by_dcmtk, decode(coded, TWELVE))


def test_dcmdjpeg_works_within_the_limits_of_a_helper(tmp_path: Path) -> None:
    (tmp_path / "coded").write_bytes(twelve())
    script = (
        "import sys, pathlib\n"
        "from streams.sandbox import limits\n"
        "limits.hold(1 << 28)\n"
        "from streams.pixels.image import Image\n"
        "from streams.sandbox import dcmtk\n"
        "limits.hold_memory(1 << 28)\n"
        "limits.begin(32 << 20, 5)\n"
        f"frame = dcmtk.decode(pathlib.Path({str(tmp_path / 'coded')!r}).read_bytes(), {TWELVE!r})\n"
        "sys.stdout.buffer.write(b'' if frame is None else frame.tobytes())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    if not done.stdout:
        pytest.skip("dcmdjpeg of DCMTK is not installed")

    assert done.stdout == decode(twelve(), TWELVE).tobytes()


def test_dcmdjpeg_is_asked_where_the_library_refuses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refuse(codestream: bytes, image: Image) -> NoReturn:
        raise Undecodable("RuntimeError")

    expected = decode(twelve(), TWELVE)
    monkeypatch.setattr(decoding, "decode", refuse)
    if dcmtk.decode(twelve(), TWELVE) is not None:
        assert np.array_equal(decoding.decoded(twelve(), TWELVE), expected)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Undecodable) as absent:
        decoding.decoded(twelve(), TWELVE)
    assert absent.value.code == "decoder_absent"


def test_what_dcmdjpeg_refuses_is_undecodable_and_its_absence_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    coded = twelve()
    if dcmtk.decode(coded, TWELVE) is not None:
        with pytest.raises(Undecodable):
            dcmtk.decode(b"\xff\xd8" + bytes(100), TWELVE)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dcmtk.decode(coded, TWELVE) is None


def lossless(frames: np.ndarray[tuple[int, ...], np.dtype[np.integer]], **attributes: object) -> bytes:
    return images.compressed(frames, [bytes(imagecodecs.jpegls_encode(one)) for one in frames], JPEG_LS, **attributes)


@pytest.mark.parametrize(
    ("share", "modality", "expected"),
    [(1.0, "CT", "pixels_blank"), (0.6, "CT", "pixels_saturated"), (0.1, "CT", ""), (0.6, "DX", ""), (1.0, "SEG", "")],
)
def test_what_had_to_be_decoded_is_looked_at_too(share: float, modality: str, expected: str) -> None:
    frames = np.random.default_rng(3).integers(0, 3000, (3, 64, 48)).astype(np.uint16)
    frames[np.random.default_rng(4).random(frames.shape) < share] = 65535

    said = found(lossless(frames, Modality=modality))

    assert said == ({expected} if expected else set())


def test_one_frame_with_something_in_it_is_enough() -> None:
    frames = np.zeros((4, 64, 48), np.uint16)
    frames[2, 31, 17] = 1

    assert found(lossless(frames)) == set()


@pytest.mark.parametrize("modality", ["US", "XC", "SM", "OT"])
def test_colour_of_one_value_is_blank_where_there_should_be_a_picture(modality: str) -> None:
    white = np.full((1, 64, 48, 3), (255, 128, 0), np.uint8)
    spotted = white.copy()
    spotted[0, 40, 40] = 0

    assert found(images.native(white, Modality=modality)) == ({"pixels_blank"} if modality in ("US", "XC") else set())
    assert found(images.native(spotted, Modality=modality)) == set()


def test_of_frames_that_were_not_all_decoded_nothing_is_said_of_what_they_show() -> None:
    blank = lossless(np.zeros((8, 64, 48), np.uint16))

    assert found(blank, Limits(decoded_bytes_max=20_000)) == {"pixels_not_all_checked"}
