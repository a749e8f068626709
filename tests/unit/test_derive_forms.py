"""Copies in other forms than HTJ2K as it comes: JPEG-LS, and progressive HTJ2K."""

from __future__ import annotations

import io
import struct

import imagecodecs
import numpy as np
import pydicom
import pytest

from consumers.derive.codings import HTJ2K_LOSSLESS_RPCL, JPEG_LS_LOSSLESS
from consumers.derive.pack import Part
from consumers.derive.policy import Choice
from streams.codestream import picture
from tests import images
from tests.lossless_copies import RANDOM, copy_of, opened, others, pixels

RPCL = 2


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
