"""The walk over a file's elements agrees with pydicom, and no input leads it astray."""

from __future__ import annotations

import io
import struct
import time
from contextlib import suppress

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from streams import part10
from streams.elements import Limits, Malformed, TooComplex
from tests import images

TEXTS = st.text("ABC 012", max_size=12).map(str.strip)
LEAVES = st.fixed_dictionaries(
    {},
    optional={
        "StudyDescription": TEXTS,
        "Rows": st.integers(0, 65535),
        "ImageComments": TEXTS,
        "SliceThickness": st.just("1.5"),
    },
)


def nested(leaf: dict[str, object], children: list[Dataset], *, undefined: bool) -> Dataset:
    made = images.data_set(**leaf)
    if children:
        made.ReferencedSeriesSequence = Sequence(children)
        made["ReferencedSeriesSequence"].is_undefined_length = undefined
        for child in children:
            child.is_undefined_length_sequence_item = undefined
    return made


def trees() -> st.SearchStrategy[Dataset]:
    leaves = LEAVES.map(lambda leaf: nested(leaf, [], undefined=False))
    return st.recursive(
        leaves,
        lambda inner: st.builds(
            lambda leaf, children, undefined: nested(leaf, children, undefined=undefined),
            LEAVES,
            st.lists(inner, max_size=2),
            st.booleans(),
        ),
        max_leaves=6,
    )


@given(trees(), st.sampled_from(sorted(images.NATIVE)))
@settings(max_examples=80, deadline=None)
def test_the_top_level_is_where_pydicom_finds_it(made: Dataset, encoding: str) -> None:
    data = images.written(made, images.NATIVE[encoding])

    file = part10.read(data)

    theirs = pydicom.dcmread(io.BytesIO(data))
    assert sorted(file.elements) == sorted(int(tag) for tag in theirs.keys())  # noqa: SIM118
    assert file.text(0x0020000D) == theirs.StudyInstanceUID
    assert file.unsigned(0x00280010) == theirs.get("Rows")
    assert file.oddities == frozenset()
    assert max((element.end for element in file.elements.values()), default=0) == len(file.data)


@given(trees(), st.sampled_from(["explicit", "implicit", "big"]), st.data())
@settings(max_examples=80, deadline=None)
def test_a_file_that_was_cut_is_malformed_or_ends_between_two_elements(
    made: Dataset, encoding: str, data: st.DataObject
) -> None:
    whole = images.written(made, images.NATIVE[encoding])
    elements = part10.read(whole).elements.values()
    cut = data.draw(st.integers(min(element.at for element in elements), len(whole) - 1))

    if cut in {element.at for element in elements}:
        assert len(part10.read(whole[:cut]).elements) < len(elements)
    else:
        with pytest.raises(Malformed):
            part10.read(whole[:cut])


@given(st.binary(max_size=300), st.sampled_from([*images.NATIVE.values(), "1.2.840.10008.1.2.4.50"]))
@settings(max_examples=300, deadline=None)
def test_no_bytes_do_more_than_end_as_malformed(body: bytes, syntax: str) -> None:
    with suppress(Malformed, TooComplex):
        part10.read(images.raw_file(body, syntax))


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_changed_byte_does_more_than_end_as_malformed(data: st.DataObject) -> None:
    whole = bytearray(images.native(np.zeros((1, 4, 4), np.uint16), "implicit"))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(132, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(Malformed, TooComplex):
        part10.read(bytes(whole))


def test_pixel_data_may_be_cut_short_and_says_so() -> None:
    whole = images.native(np.zeros((1, 8, 8), np.uint16))

    file = part10.read(whole[:-10])

    assert file.pixel_data is not None
    assert file.pixel_data.truncated
    assert file.pixel_data.length == 8 * 8 * 2 - 10


@pytest.mark.parametrize(
    ("written", "labelled"), [("implicit", "explicit"), ("explicit", "implicit"), ("big", "explicit")]
)
def test_a_data_set_in_another_transfer_syntax_than_its_label_is_read_as_it_is(written: str, labelled: str) -> None:
    whole = images.native(np.zeros((1, 4, 4), np.uint16), written)
    body = whole[part10.read(whole).start :]

    file = part10.read(images.raw_file(body, images.NATIVE[labelled]))

    assert file.text(0x0020000D) == images.STUDY
    assert "transfer_syntax" in file.oddities


def test_limits_end_the_walk() -> None:
    many = images.raw_file(b"\x08\x00\x05\x00CS\x00\x00" * 1000)
    deep = images.raw_file(b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 1000)

    with pytest.raises(TooComplex, match="100 data elements"):
        part10.read(many, Limits(elements=100))
    with pytest.raises(TooComplex, match="64 deep"):
        part10.read(deep, Limits(depth=64))


def test_elements_of_group_0_cost_no_look_at_all_that_follows() -> None:
    """Each looks like the beginning of what a file is filled up with."""
    data = images.raw_file(b"\x08\x00\x16\x00UI\x00\x00" + b"\x00\x00\x01\x00UL\x00\x00" * 4_000 + bytes(10 << 20))

    start = time.process_time()
    file = part10.read(data)

    assert time.process_time() - start < 1
    assert file.oddities == {"order", "trailing_zeros"}


def unknown(tag: int, value: bytes) -> bytes:
    """An element of a value representation that the standard may have one day."""
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"ZZ", 0, len(value)) + value


def test_a_cut_file_is_truncated_whatever_stood_long_before_the_cut() -> None:
    owner = b"\x08\x00\x60\x00CS\x02\x00MR"
    data = images.raw_file(unknown(0x00080058, b"value!") + owner + owner + b"\x08\x00\x70\x00LO\x40\x00cut")

    with pytest.raises(Malformed) as raised:
        part10.read(data)

    assert raised.value.code == "truncated"


@pytest.mark.parametrize("between", [b"", b"\x08\x00\x70\x00LO"])
def test_what_is_lost_right_behind_an_unknown_value_representation_is_not_called_cut(between: bytes) -> None:
    data = images.raw_file(b"\x08\x00\x60\x00CS\x02\x00MR" + unknown(0x00080068, b"value!")[: None if between else -2])

    with pytest.raises(Malformed) as raised:
        part10.read(data + between)

    assert raised.value.code == "structure"
