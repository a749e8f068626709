"""The lossless copy holds the same pixels and the same elements as what was received."""

from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import UID

from consumers.derive import header
from consumers.derive.codings import HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, JPEG_LS_LOSSLESS
from consumers.derive.config import Output
from consumers.derive.lossless import copied
from consumers.derive.pack import Part
from consumers.derive.policy import Choice
from streams import part10
from streams.codestream import picture
from streams.pixels.frames import Frames
from streams.pixels.image import describe
from tests import images

RANDOM = np.random.default_rng(1)


def pixels(dtype: str, bits: int, *, samples: int = 1, frames: int = 1) -> NDArray[np.integer]:
    """Frames of which every bit up to `bits` is used."""
    shape = (frames, 33, 21, 3) if samples == 3 else (frames, 33, 21)
    whole = RANDOM.integers(0, 1 << bits, shape)
    made: NDArray[np.integer] = (whole - (1 << (bits - 1)) if dtype.startswith("i") else whole).astype(dtype)
    return made


def copy_of(data: bytes, output: Output | None = None, choice: Choice = Choice()) -> Part | str:  # noqa: B008
    limits = output or Output()
    file = part10.read(data)
    image = describe(file, limits.frame_bytes_max)
    assert not isinstance(image, str), image
    return copied(file, image, Frames(file, image), limits.pixel_bytes_max, choice)


def opened(part: Part | str) -> tuple[Dataset, NDArray[np.integer]]:
    """The copy as pydicom reads it, and its pixels as stored."""
    assert isinstance(part, Part), part
    read = pydicom.dcmread(io.BytesIO(part.data))
    frames = generate_frames(read.PixelData, number_of_frames=len(part.frames))
    decode = imagecodecs.jpegls_decode if read.file_meta.TransferSyntaxUID == JPEG_LS_LOSSLESS else _htj2k
    return read, np.stack([decode(frame) for frame in frames])


def _htj2k(frame: bytes) -> NDArray[np.integer]:
    decoded: NDArray[np.integer] = imagecodecs.htj2k_decode(frame, planar=False)
    return decoded


def others(read: Dataset) -> list[pydicom.DataElement]:
    """Every element but those of the pixels' own encoding."""
    return [element for element in read if element.tag not in (0x7FE00010, 0x00280004, 0x00280006)]


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
    assert copy_of(images.native(twelve, bits_stored=12, HighBit=15)) == "unsupported_pixels"
    assert copy_of(images.compressed(twelve, [jpeg], "1.2.840.10008.1.2.4.80")) == "already_compressed"
    assert copy_of(images.compressed(twelve, [jpeg], "1.2.840.10008.1.2.4.81")) == "arrived_lossy"
    for syntax in ("1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"):
        lossy = images.compressed(twelve, [jpeg], syntax)
        assert copy_of(lossy, choice=Choice(recompress=True)) == "arrived_lossy"
    assert copy_of(images.native(twelve, NumberOfFrames=2)) == "undecodable"
    assert copy_of(images.native(twelve), Output(pixel_bytes_max=100)) == "too_large"
    assert copy_of(images.native(np.zeros((50_001, 1, 1), "u1"))) == "too_large"


def test_a_frame_that_the_encoder_refuses_makes_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> bytes:
        raise imagecodecs.Htj2kError("no")

    monkeypatch.setattr(imagecodecs, "htj2k_encode", refused)

    assert copy_of(images.native(pixels("u2", 16))) == "unsupported_pixels"


def test_a_copy_that_does_not_decode_to_its_source_is_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    right = imagecodecs.htj2k_encode
    monkeypatch.setattr(imagecodecs, "htj2k_encode", lambda data, **how: right(data ^ 1, **how))

    assert copy_of(images.native(pixels("u2", 16))) == "lossless_verify_failed"


@pytest.mark.parametrize(
    ("dtype", "bits", "samples"), [("u2", 12, 1), ("i2", 12, 1), ("i2", 16, 1), ("u1", 6, 1), ("u1", 8, 3)]
)
def test_jpeg_ls_has_the_precision_of_the_bits_that_are_stored(dtype: str, bits: int, samples: int) -> None:
    expected = pixels(dtype, bits, samples=samples, frames=2)
    data = images.native(expected, bits_stored=bits)

    part = copy_of(data, choice=Choice("jpeg-ls"))

    read, decoded = opened(part)
    assert read.file_meta.TransferSyntaxUID == JPEG_LS_LOSSLESS
    assert np.array_equal(read.pixel_array, expected), "pydicom, by its own decoder"
    assert np.array_equal(decoded, expected if dtype[0] == "u" else expected.view(f"u{dtype[1]}") & (2**bits - 1))
    assert others(read) == others(pydicom.dcmread(io.BytesIO(data)))
    assert read.PhotometricInterpretation == ("RGB" if samples == 3 else "MONOCHROME2")
    assert isinstance(part, Part)
    head = picture(part.data[part.frames[0].offset :])
    assert head is not None
    assert head.bits == bits


@pytest.mark.parametrize(("shape", "steps"), [((64, 4000), 5), ((2100, 2060), 6), ((3, 5), 5)])
def test_a_progressive_copy_begins_with_a_thumbnail_and_says_how_long_each_resolution_is(
    shape: tuple[int, int], steps: int
) -> None:
    expected = RANDOM.integers(0, 1 << 12, (1, *shape)).astype("u2")

    part = copy_of(images.native(expected, bits_stored=12), choice=Choice("htj2k-rpcl"))

    read, decoded = opened(part)
    assert read.file_meta.TransferSyntaxUID == HTJ2K_LOSSLESS_RPCL
    assert np.array_equal(decoded, expected)
    assert isinstance(part, Part)
    codestream = part.data[part.frames[0].offset :][: part.frames[0].length]
    # ISO/IEC 15444-1 tables A.13 and A.15: the order of packets, and how often the picture is halved.
    coding = codestream.index(b"\xff\x52")
    assert (codestream[coding + 5], codestream[coding + 9]) == (RPCL, steps)
    assert min(shape) / 2**steps <= 64
    lengths = _tile_part_lengths(codestream)
    first = codestream.index(b"\xff\x90")
    assert len(lengths) == steps + 1
    assert first + sum(lengths) + 2 == len(codestream), "then the end of the codestream"
    small = imagecodecs.htj2k_decode(codestream[: first + lengths[0]] + b"\xff\xd9", skipres=(steps, steps))
    whole = imagecodecs.htj2k_decode(codestream, skipres=(steps, steps))
    assert np.array_equal(small, whole), "the first part alone shows the smallest picture"


def _tile_part_lengths(codestream: bytes) -> list[int]:
    """Those of the TLM marker segment (ISO/IEC 15444-1 section A.7.1), which has two bytes for the tile here."""
    at = codestream.index(b"\xff\x55")
    (length,) = struct.unpack_from(">H", codestream, at + 2)
    return [struct.unpack_from(">I", codestream, one + 2)[0] for one in range(at + 6, at + 2 + length, 6)]


RPCL = 2
SOURCES = {
    "1.2.840.10008.1.2.4.80": imagecodecs.jpegls_encode,
    "1.2.840.10008.1.2.4.90": lambda frame: imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True),
    "1.2.840.10008.1.2.4.201": lambda frame: imagecodecs.htj2k_encode(frame, reversible=True),
    "1.2.840.10008.1.2.4.70": imagecodecs.ljpeg_encode,
}


@pytest.mark.parametrize("syntax", sorted(SOURCES))
def test_what_arrived_compressed_without_loss_is_copied_where_the_policy_says_so(syntax: str) -> None:
    expected = pixels("u2", 12, frames=2)
    codestreams = [bytes(SOURCES[syntax](frame)) for frame in expected]
    data = images.compressed(expected, codestreams, syntax, bits_stored=12, StudyDescription="AS IT WAS")

    again = copy_of(data, choice=Choice("htj2k-rpcl", recompress=True))

    assert copy_of(data, choice=Choice("htj2k-rpcl")) == "already_compressed"
    read, decoded = opened(again)
    assert np.array_equal(decoded, expected)
    assert others(read) == others(pydicom.dcmread(io.BytesIO(data)))


def test_a_copy_in_the_transfer_syntax_that_it_arrived_in_is_no_copy() -> None:
    codestream = bytes(imagecodecs.jpegls_encode(pixels("u1", 8)[0]))
    data = images.compressed(pixels("u1", 8), [codestream], JPEG_LS_LOSSLESS)

    assert copy_of(data, choice=Choice("jpeg-ls", recompress=True)) == "already_compressed"


def test_decorrelated_colour_is_copied_as_what_it_was_made_of() -> None:
    expected = pixels("u1", 8, samples=3)
    codestream = bytes(imagecodecs.htj2k_encode(expected[0], reversible=True, rgb=True))
    data = images.compressed(expected, [codestream], HTJ2K_LOSSLESS, photometric="YBR_RCT")

    for syntax, photometric in (("jpeg-ls", "RGB"), ("htj2k-rpcl", "YBR_RCT")):
        read, decoded = opened(copy_of(data, choice=Choice(syntax, recompress=True)))
        assert read.PhotometricInterpretation == photometric
        assert np.array_equal(decoded, expected)


def test_a_codestream_of_more_bits_than_the_header_has_is_not_cut() -> None:
    wide = pixels("u2", 16)
    codestream = bytes(imagecodecs.jpeg2k_encode(wide[0], codecformat="j2k", reversible=True))
    data = images.compressed(wide.astype("u1"), [codestream], "1.2.840.10008.1.2.4.90")

    assert copy_of(data, choice=Choice("htj2k", recompress=True)) == "bits_beyond_stored"


def test_an_icon_that_is_encapsulated_too_makes_no_copy() -> None:
    expected = pixels("u1", 8)
    codestream = bytes(imagecodecs.jpegls_encode(expected[0]))
    whole = pydicom.dcmread(io.BytesIO(images.compressed(expected, [codestream], JPEG_LS_LOSSLESS)))
    icon = images.image(expected)
    icon.add_new(0x7FE00010, "OB", encapsulate([codestream]))
    icon["PixelData"].is_undefined_length = True
    whole.IconImageSequence = Sequence([icon])

    assert copy_of(images.written(whole, UID(JPEG_LS_LOSSLESS)), choice=Choice(recompress=True)) == "unconvertible"


def test_offset_tables_that_were_received_do_not_stay() -> None:
    expected = pixels("u1", 8, frames=2)
    packed = pydicom.dcmread(io.BytesIO(images.native(expected)))
    packed.compress(pydicom.uid.RLELossless, generate_instance_uid=False, encapsulate_ext=True)
    assert packed.ExtendedOffsetTable

    read, decoded = opened(copy_of(images.written(packed, pydicom.uid.RLELossless)))

    assert "ExtendedOffsetTable" not in read
    assert "ExtendedOffsetTableLengths" not in read
    assert np.array_equal(decoded, expected)


def test_offsets_beyond_32_bits_are_in_the_extended_table(monkeypatch: pytest.MonkeyPatch) -> None:
    right = header.pixel_data
    monkeypatch.setattr(header, "pixel_data", lambda codestreams: right(codestreams, basic_offset_max=100))
    expected = pixels("u1", 8, frames=3)

    read, _ = opened(part := copy_of(images.native(expected)))

    assert read.PixelData[:8] == b"\xfe\xff\x00\xe0\0\0\0\0", "the basic table is empty"
    assert isinstance(part, Part)
    frames = [part.data[one.offset : one.offset + one.length] for one in part.frames]
    tables = (read.ExtendedOffsetTable, read.ExtendedOffsetTableLengths)
    found = list(generate_frames(read.PixelData, number_of_frames=3, extended_offsets=tables))
    assert [one[: len(frame)] for one, frame in zip(found, frames, strict=True)] == frames
