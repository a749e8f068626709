"""The lossless copy holds the same pixels and the same elements as what was received."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.sequence import Sequence

from consumers.derive.codings import HTJ2K_LOSSLESS
from consumers.derive.config import Output, Syntax
from consumers.derive.pack import Part
from consumers.derive.policy import Choice
from streams import part10
from streams.codestream import picture
from streams.rendering import source
from streams.rendering.render import Wanted, shown
from tests import images
from tests.lossless_copies import copy_of, opened, others, pixels


@pytest.mark.parametrize("encoding", sorted(images.NATIVE))
@pytest.mark.parametrize(
    ("dtype", "bits", "samples"),
    [
        ("u2", 16, 1),
        ("u2", 12, 1),
        ("i2", 16, 1),
        ("i2", 12, 1),
        ("u1", 8, 1),
        ("u1", 6, 1),
        ("u1", 8, 3),
        ("u2", 10, 3),
    ],
)
def test_pixels_and_elements_are_those_received(encoding: str, dtype: str, bits: int, samples: int) -> None:
    expected = pixels(dtype, bits, samples=samples, frames=3)
    data = images.native(expected, encoding, bits_stored=bits, StudyDescription="AS IT WAS", WindowCenter="40")

    part = copy_of(data)

    read, decoded = opened(part)
    assert np.array_equal(decoded, expected)
    assert read.file_meta.TransferSyntaxUID == HTJ2K_LOSSLESS
    assert others(read) == others(pydicom.dcmread(io.BytesIO(data)))
    assert read.PhotometricInterpretation == ("YBR_RCT" if samples == 3 else "MONOCHROME2")
    assert isinstance(part, Part)
    for frame, item in zip(expected, part.frames, strict=True):
        codestream = part.data[item.offset : item.offset + item.length]
        head = picture(codestream)
        assert head is not None
        assert (head.bits, head.signed) == (bits, dtype.startswith("i"))
        assert np.array_equal(imagecodecs.jpeg2k_decode(codestream), frame), "another decoder sees the same"


def test_elements_of_an_explicit_source_are_kept_byte_for_byte() -> None:
    data = images.native(pixels("u2", 12), bits_stored=12, StudyDescription="AS IT WAS")
    source = part10.read(data)
    part = copy_of(data)

    assert isinstance(part, Part)
    header = data[source.start : source.elements[0x7FE00010].at]
    assert header in part.data


def test_planar_colour_and_rle_are_copied_too() -> None:
    expected = pixels("u1", 8, samples=3, frames=2)
    planar = images.image(expected, PlanarConfiguration=1)
    planar.add_new(0x7FE00010, "OW", np.moveaxis(expected, -1, 1).tobytes())
    packed = pydicom.dcmread(io.BytesIO(images.native(expected)))
    packed.compress(pydicom.uid.RLELossless, generate_instance_uid=False)

    for data in (images.written(planar), images.written(packed, pydicom.uid.RLELossless)):
        read, decoded = opened(copy_of(data))
        assert np.array_equal(decoded, expected)
        assert read.PlanarConfiguration == 0


def test_palette_colour_and_luminance_colour_keep_their_meaning() -> None:
    for photometric, samples in (("PALETTE COLOR", 1), ("YBR_FULL", 3), ("MONOCHROME1", 1)):
        expected = pixels("u1", 8, samples=samples)
        read, decoded = opened(copy_of(images.native(expected, photometric=photometric)))
        assert read.PhotometricInterpretation == photometric
        assert np.array_equal(decoded, expected)


def table(first: int, vr: str, values: range) -> pydicom.Dataset:
    made = pydicom.Dataset()
    made.add_new(0x00283002, vr, [len(values), first, 8 if values.stop <= 256 else 16])
    made.add_new(0x00283006, "OW", np.array(values, "<u2").tobytes())
    return made


def shown_of(data: bytes) -> list[list[int]]:
    whole: list[list[int]] = shown(source.opened(data), Wanted()).pixels.tolist()
    return whole


@pytest.mark.parametrize(
    ("dtype", "first", "vr", "attributes"),
    [
        ("u2", -1000, "SS", {"RescaleIntercept": "-1024"}),
        ("u2", -600, "SS", {"RescaleIntercept": "0", "RescaleSlope": "-1"}),
        ("u2", 64_900, "US", {"RescaleIntercept": "65535", "RescaleSlope": "-1"}),
        ("i2", 40_000, "US", {"ModalityLUTSequence": Sequence([table(0, "SS", range(40_000, 40_693))])}),
    ],
    ids=[
        "an unsigned image below zero",
        "one whose slope is",
        "one that is inverted",
        "a signed image through a table",
    ],
)
def test_a_copy_of_an_implicit_source_shows_what_its_source_does(
    dtype: str, first: int, vr: str, attributes: dict[str, object]
) -> None:
    """The sign of a VOI table's first input is that of what the modality stage gives (PS3.3 section C.11.2.1.1)."""
    ramp = np.arange(33 * 21, dtype=dtype).reshape(1, 33, 21)
    of_interest = Sequence([table(first, vr, range(256))])
    data = images.native(ramp, "implicit", VOILUTSequence=of_interest, **attributes)

    part = copy_of(data)

    read, _ = opened(part)
    assert isinstance(part, Part)
    assert vr == read.VOILUTSequence[0]["LUTDescriptor"].VR
    assert shown_of(part.data) == shown_of(data)
    assert {grey for row in shown_of(data) for grey in row} == set(range(256))


@given(st.lists(st.text("abc", max_size=20), max_size=4), st.booleans(), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_sequences_and_private_elements_of_an_implicit_source_keep_their_values(
    texts: list[str], undefined: bool, depth: int
) -> None:
    made = images.image(pixels("u2", 16))
    inner = Sequence([images.data_set(StudyDescription=text) for text in texts])
    for _ in range(depth):
        level = images.data_set(ReferencedSeriesSequence=inner)
        level["ReferencedSeriesSequence"].is_undefined_length = undefined
        inner = Sequence([level])
    made.ReferencedSeriesSequence = inner
    block = made.private_block(0x0011, "RADSTREAM TEST", create=True)
    block.add_new(0x01, "UN", b"\1\2\3\4")
    made.SmallestImagePixelValue, made["SmallestImagePixelValue"].VR = 7, "US"
    made.add_new(0x7FE00010, "OW", pixels("u2", 16).tobytes())
    data = images.written(made, images.NATIVE["implicit"])

    read, _ = opened(copy_of(data))

    assert others(read) == others(pydicom.dcmread(io.BytesIO(data)))


def test_what_cannot_be_copied_without_loss_says_why() -> None:
    twelve = pixels("u2", 12)
    overlaid = twelve.copy()
    overlaid[0, 0, 0] |= 0x8000
    jpeg = bytes(imagecodecs.jpegls_encode(twelve[0]))

    assert copy_of(images.native(overlaid, bits_stored=12)) == "bits_beyond_stored"
    assert copy_of(images.native(pixels("u1", 1), bits_stored=1), choice=Choice("jpeg-ls")) == "unsupported_pixels"
    assert copy_of(images.native(pixels("u2", 12)[:, :1, :1]), choice=Choice("jpeg-ls")) == "unsupported_pixels"
    assert copy_of(images.native(twelve), choice=Choice("none")) == "not_wanted"
    assert copy_of(images.native(pixels("u4", 32))) == "unsupported_pixels"
    halved = images.native(pixels("u1", 8, samples=3), photometric="YBR_FULL_422")
    assert copy_of(halved) == "unsupported_pixels"
    assert copy_of(images.native(twelve, bits_stored=12, HighBit=15)) == "unsupported_pixels"
    assert copy_of(images.compressed(twelve, [jpeg], "1.2.840.10008.1.2.4.80")) == "already_compressed"
    assert copy_of(images.compressed(twelve, [jpeg], "1.2.840.10008.1.2.4.81")) == "arrived_lossy"
    for syntax in ("1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"):
        lossy = images.compressed(twelve, [jpeg], syntax)
        assert copy_of(lossy, choice=Choice(recompress=True)) == "arrived_lossy"
    assert copy_of(images.native(twelve, NumberOfFrames=2)) == "undecodable"
    assert copy_of(images.native(twelve), Output(pixel_bytes_max=100)) == "too_large"
    assert copy_of(images.native(np.zeros((50_001, 1, 1), "u1"))) == "too_large"


@pytest.mark.parametrize("number", ["90", "201", "202"])
def test_what_is_coded_with_a_loss_is_not_copied_whatever_its_transfer_syntax_says(number: str) -> None:
    def coded(frame: np.ndarray, *, reversible: bool) -> bytes:
        if number == "90":
            return bytes(imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=reversible, level=0))
        return bytes(imagecodecs.htj2k_encode(frame, reversible=reversible))

    frames = pixels("u2", 16, frames=2)
    for exact, expected in (((False, False), "arrived_lossy"), ((True, False), "arrived_lossy"), ((True, True), None)):
        codestreams = [coded(frame, reversible=one) for frame, one in zip(frames, exact, strict=True)]
        data = images.compressed(frames, codestreams, f"1.2.840.10008.1.2.4.{number}")
        copy = copy_of(data, choice=Choice("jpeg-ls", recompress=True))
        assert copy == expected or (expected is None and isinstance(copy, Part))


def test_a_frame_that_the_encoder_refuses_makes_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> bytes:
        raise imagecodecs.Htj2kError("no")

    monkeypatch.setattr(imagecodecs, "htj2k_encode", refused)

    assert copy_of(images.native(pixels("u2", 16))) == "unsupported_pixels"


def test_a_copy_that_does_not_decode_to_its_source_is_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    right = imagecodecs.htj2k_encode
    monkeypatch.setattr(imagecodecs, "htj2k_encode", lambda data, **how: right(data ^ 1, **how))

    assert copy_of(images.native(pixels("u2", 16))) == "lossless_verify_failed"


@pytest.mark.parametrize("syntax", ["htj2k", "htj2k-rpcl", "jpeg-ls"])
def test_a_large_frame_of_nothing_is_no_fault_of_the_encoder(syntax: Syntax) -> None:
    # Its codestream is so small that a reader here takes it for a bomb.
    blank = images.native(np.zeros((1, 1600, 1600), np.uint16), bits_stored=12)

    assert copy_of(blank, choice=Choice(syntax)) == "decoder_too_large"
