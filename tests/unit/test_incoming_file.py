"""A file that comes in by pieces is taken apart where its header ends, and nothing that it says breaks anything."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from producers.dicom_router.arrival import CANNOT_UNDERSTAND, TOO_LARGE, Arrival, refusal
from producers.dicom_router.data_set import Room
from producers.dicom_router.header import read_header
from producers.dicom_router.incoming_file import Door, IncomingFile
from producers.dicom_router.object_buffer import Budget, BufferPool
from streams.identity import uid_is_usable
from streams.part10 import EXPLICIT_VR_BIG_ENDIAN
from streams.stored_file import stored_file
from tests.routers import CT, EXPLICIT, IMPLICIT, Ct, explicit

OBJECT_BYTES_MAX = 1 << 20


def door() -> Door:
    room = Room(OBJECT_BYTES_MAX, BufferPool(Budget(1 << 20)), Budget(8 << 20))
    return Door("STOW-RS", "SENDER", "RADSTREAM", room)


def arrived(file: bytes, cuts: Sequence[int] = (), study: str = "") -> Arrival:
    incoming = IncomingFile(door(), "a")
    places = [0, *sorted(cut % (len(file) + 1) for cut in cuts), len(file)]
    for start, end in pairwise(places):
        incoming.write(memoryview(file)[start:end])
    return incoming.arrival(study)


@given(
    file=st.binary(max_size=400)
    | st.binary(max_size=400).map(lambda data: bytes(128) + b"DICM" + data)
    | st.binary(max_size=400).map(lambda data: stored_file(CT, "1.2.3", EXPLICIT, data)),
    cuts=st.lists(st.integers(0), max_size=5),
)
@example(file=bytes(128) + b"DICM", cuts=[])
@example(file=bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI\xff\xff1.2", cuts=[])
@example(file=bytes(128) + b"DICM" + b"\x02\x00\x02\x01SQ\0\0\xff\xff\xff\xff" * 30, cuts=[])
def test_any_bytes_are_an_arrival_that_is_kept_or_refused(file: bytes, cuts: list[int]) -> None:
    arrival = arrived(file, cuts)
    again = arrived(file)
    assert (arrival.data_set, arrival.fault) == (again.data_set, again.fault)
    assert file.endswith(bytes(arrival.data_set))
    assert not arrival.transfer_syntax_uid or uid_is_usable(arrival.transfer_syntax_uid)
    for uid in (arrival.sop_class_uid, arrival.sop_instance_uid):
        assert not uid or (uid.isprintable() and uid.isascii() and len(uid) <= 128)
    if refusal(arrival, read_header(arrival.data_set, arrival.transfer_syntax_uid)) is None:
        assert arrival.sop_instance_uid
        assert arrival.transfer_syntax_uid


@given(data=st.binary(max_size=300), position=st.integers(0, 600), value=st.integers(0, 255))
def test_one_wrong_byte_breaks_nothing(data: bytes, position: int, value: int) -> None:
    file = bytearray(stored_file(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set() + data))
    file[position % len(file)] = value
    arrival = arrived(bytes(file))
    assert arrival.fault is None or arrival.fault.status == CANNOT_UNDERSTAND


def test_a_file_is_taken_apart_behind_its_header() -> None:
    arrival = arrived(stored_file(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set()))
    assert arrival.data_set == Ct().data_set()
    assert (arrival.sop_class_uid, arrival.sop_instance_uid, arrival.transfer_syntax_uid) == (CT, "1.2.3.4.5", EXPLICIT)
    assert (arrival.protocol, arrival.calling_ae, arrival.fault) == ("STOW-RS", "SENDER", None)


def test_a_data_set_without_a_header_shows_its_transfer_syntax() -> None:
    big = b"".join(explicit(tag, vr, value, ">") for tag, vr, value in Ct().elements())
    for data, syntax in (
        (Ct().data_set(), EXPLICIT),
        (Ct().implicit_data_set(), IMPLICIT),
        (big, EXPLICIT_VR_BIG_ENDIAN),
    ):
        arrival = arrived(data)
        assert (arrival.transfer_syntax_uid, arrival.data_set, arrival.fault) == (syntax, data, None)


def test_over_the_ceiling_the_bytes_are_let_go_and_the_names_are_known() -> None:
    arrival = arrived(
        stored_file(CT, "1.2.3.4.5", EXPLICIT, Ct(pixels=bytes(2 << 20)).data_set()), range(0, 2 << 20, 999)
    )
    refused = refusal(arrival, read_header(arrival.data_set, EXPLICIT))
    assert refused is not None
    assert (refused.status, arrival.sop_instance_uid, arrival.data_set) == (TOO_LARGE, "1.2.3.4.5", b"")


def test_a_file_larger_than_its_share_of_memory_is_whole_all_the_same() -> None:
    data = Ct(pixels=bytes(range(256)) * 4000).data_set()
    room = Room(OBJECT_BYTES_MAX, BufferPool(Budget(0)), Budget(8 << 20))
    incoming = IncomingFile(Door("STOW-RS", "SENDER", "RADSTREAM", room), "a")
    incoming.write(memoryview(stored_file(CT, "1.2.3.4.5", EXPLICIT, data)))
    arrival = incoming.arrival()
    assert arrival.data_set == data
    assert arrival.content.stored_file(CT, "1.2.3.4.5").data == stored_file(CT, "1.2.3.4.5", EXPLICIT, data)
    arrival.data_set.release()
    incoming.done(reusable=True)
    assert room.disk.take(8 << 20)


def test_the_study_that_was_asked_for_is_compared() -> None:
    file = stored_file(CT, "1.2.3.4.5", EXPLICIT, Ct().data_set())
    assert arrived(file, study="1.2.3").fault is None
    assert arrived(file, study="1.2.4").fault is not None
    assert arrived(stored_file(CT, "1.2.3.4.5", EXPLICIT, b""), study="1.2.3").fault is not None


def test_an_illegal_uid_is_what_its_sender_calls_it_and_one_without_bounds_is_none() -> None:
    file = stored_file(CT, "", EXPLICIT, Ct(instance="1.2." + "3" * 70).data_set())
    assert (arrived(file).sop_instance_uid, arrived(file).fault) == ("1.2." + "3" * 70, None)
    endless = arrived(stored_file(CT, "", EXPLICIT, Ct(instance="3" * 200).data_set()))
    assert endless.fault is not None


@pytest.mark.parametrize(
    ("start", "kind"), [(b"", ""), (b"MZ\x90", "program"), (b"II*\0", "tiff"), (b"by a converter", "other")]
)
def test_what_stood_in_front_is_noted_and_not_kept(start: bytes, kind: str) -> None:
    body = Ct().data_set()
    file = start.ljust(128, b"\0") + stored_file(CT, "1.2.3", EXPLICIT, body)[128:]

    assert arrived(file).preamble == kind
    assert bytes(arrived(file).data_set) == body


def test_a_data_set_without_a_file_header_has_no_preamble() -> None:
    assert arrived(Ct().data_set()).preamble == ""
