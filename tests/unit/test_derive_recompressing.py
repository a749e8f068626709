"""Copies of what arrived compressed: where the policy says so, and of nothing that would be lost or left behind."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import UID

from consumers.derive import header
from consumers.derive.codings import HTJ2K_LOSSLESS, JPEG_LS_LOSSLESS
from consumers.derive.pack import Part
from consumers.derive.policy import Choice
from tests import images
from tests.lossless_copies import copy_of, opened, others, pixels

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

    # No decoder is asked: samples of 16 bits do not go into cells of 8.
    assert copy_of(data, choice=Choice("htj2k", recompress=True)) == "undecodable"


def test_a_sign_that_the_header_denies_makes_no_copy() -> None:
    negative = np.array([[[-5, 3], [4, 5]]], np.int16)
    codestream = bytes(imagecodecs.jpeg2k_encode(negative[0], codecformat="j2k", reversible=True))
    data = images.compressed(negative.view(np.uint16), [codestream], "1.2.840.10008.1.2.4.90")

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
