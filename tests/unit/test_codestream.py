"""What a codestream's head says is what a decoder makes of it."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams import encapsulated, part10
from streams.codestream import colour_of, picture
from streams.elements import Malformed
from tests import images

GREY = np.arange(30 * 50, dtype=np.uint16).reshape(30, 50)
COLOUR = np.zeros((20, 40, 3), np.uint8)


@pytest.mark.parametrize(
    ("codestream", "expected"),
    [
        (imagecodecs.jpeg8_encode(COLOUR), (20, 40, 3, 8)),
        (imagecodecs.jpeg8_encode(GREY, lossless=True), (30, 50, 1, 16)),
        (imagecodecs.jpegls_encode(GREY), (30, 50, 1, 16)),
        (imagecodecs.jpeg2k_encode(GREY, reversible=True), (30, 50, 1, 16)),
        (imagecodecs.htj2k_encode(GREY, reversible=True), (30, 50, 1, 16)),
        (imagecodecs.htj2k_encode(COLOUR, reversible=True, rgb=True), (20, 40, 3, 8)),
    ],
    ids=["jpeg", "jpeg-lossless", "jpeg-ls", "jpeg-2000", "htj2k", "htj2k-colour"],
)
def test_size_samples_and_bits_are_read(codestream: bytes, expected: tuple[int, int, int, int]) -> None:
    head = picture(bytes(codestream))

    assert head is not None
    assert (head.rows, head.columns, head.samples) == expected[:3]
    assert head.bits <= expected[3]


JFIF = b"\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0"


def adobe(transform: int) -> bytes:
    return b"\xff\xee\x00\x0eAdobe\x00\x64\0\0\0\0" + bytes([transform])


def head(segments: bytes, components: bytes) -> bytes:
    """A JPEG as far as its frame header."""
    frame = b"".join(bytes([one, 0x11, 0]) for one in components)
    return b"\xff\xd8" + segments + b"\xff\xc0\x00\x11\x08\x00\x08\x00\x08\x03" + frame


@pytest.mark.parametrize(
    ("codestream", "colour"),
    [
        (head(JFIF, b"\x01\x02\x03"), "YCBCR"),
        (head(JFIF, b"RGB"), "YCBCR"),
        (head(adobe(0), b"\x01\x02\x03"), "RGB"),
        (head(adobe(1), b"RGB"), "YCBCR"),
        (head(JFIF + adobe(0), b"\x01\x02\x03"), "RGB"),
        (head(adobe(0) + JFIF, b"\x01\x02\x03"), "RGB"),
        (head(JFIF + adobe(1), b"\x01\x02\x03"), "YCBCR"),
        (head(JFIF + adobe(7), b"\x01\x02\x03"), None),
        (head(b"", b"RGB"), "RGB"),
        (head(b"", b"\x01\x02\x03"), None),
        (head(JFIF, b"")[:-6], "YCBCR"),
    ],
)
def test_what_components_are_is_said_by_adobe_before_jfif_and_by_names_last(
    codestream: bytes, colour: str | None
) -> None:
    assert colour_of(codestream) == colour


@given(st.binary(max_size=200), st.sampled_from([b"", b"\xff\xd8", b"\xff\xd8\xff\xff", b"\xff\x4f\xff\x51"]))
def test_no_bytes_do_more_than_be_unreadable(data: bytes, start: bytes) -> None:
    picture(start + data)


def frames_of(codestreams: list[bytes], *, table: bool, count: int) -> list[bytes]:
    pixels = np.zeros((count, 30, 50), np.uint16)
    file = part10.read(images.compressed(pixels, codestreams, "1.2.840.10008.1.2.4.80", table=table))
    assert file.pixel_data is not None
    found = encapsulated.frames(file.data, encapsulated.items(file.data, file.pixel_data), count)
    return [bytes(found[index]) for index in range(len(found))]


@pytest.mark.parametrize("table", [True, False])
def test_frames_are_told_apart_with_and_without_an_offset_table(table: bool) -> None:
    streams = [bytes(imagecodecs.jpegls_encode(GREY + number)) for number in range(3)]

    assert [one.rstrip(b"\0") for one in frames_of(streams, table=table, count=3)] == streams


def test_fragments_that_cannot_be_told_apart_are_malformed() -> None:
    with pytest.raises(Malformed):
        frames_of([b"\0\0", b"\0\0", b"\0\0"], table=False, count=2)


def test_an_offset_table_that_the_file_ends_within_is_malformed() -> None:
    whole = images.compressed(np.zeros((1, 4, 4), np.uint16), [b"\xff\xd8\xff\xd9"], "1.2.840.10008.1.2.4.70")
    at = whole.index(b"\xe0\x7f\x10\x00OB") + 12
    cut = part10.read(whole[:at] + b"\xfe\xff\x00\xe0\x00\x01\x00\x00" + bytes(16))
    assert cut.pixel_data is not None
    with pytest.raises(Malformed):
        encapsulated.items(cut.data, cut.pixel_data)
