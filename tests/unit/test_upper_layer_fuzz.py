"""Arbitrary bytes never do anything but what was planned, and memory is for bytes that are there, up to a ceiling."""

from __future__ import annotations

import socket
import threading
import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.dicom_router.arrival import SUCCESS, Arrival
from producers.dicom_router.data_set import Room
from producers.dicom_router.object_buffer import Budget, BufferPool
from producers.dicom_router.operations import Echo, Store
from producers.dicom_router.reading_ahead import ReadingAhead
from producers.dicom_router.upper_layer import command_set
from producers.dicom_router.upper_layer.associate_rq import Requested, decode
from producers.dicom_router.upper_layer.association import Association
from producers.dicom_router.upper_layer.connection import Connection
from producers.dicom_router.upper_layer.limits import Limits
from producers.dicom_router.upper_layer.messages import Pace
from producers.dicom_router.upper_layer.negotiation import negotiate
from producers.dicom_router.upper_layer.pdu import PDU_BYTES_MAX, Violation
from producers.dicom_router.workers import Workers
from tests.held_operations import windowed
from tests.raw_peer import ABORT, RELEASE_RP, RELEASE_RQ, associate_rq, echo_rq, p_data, pdu, pdv, store_rq
from tests.routers import Ct

LIMITS = Limits(set_up_s=5.0, pace=Pace(5.0, 1024), association_s=20.0, pdu_bytes_max=16_384)
ENDS = {"released", "rejected", "aborted_by_peer", "closed"}
# Objects of a megabyte, and the ceilings of a PDU and a command: what one association may take.
MEMORY_BYTES_MAX = 3 * PDU_BYTES_MAX
# Of it, half is for what is read ahead.
WINDOW_BYTES = 4 << 20


class Receiver:
    """Takes everything."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def answer(self, arrival: Arrival) -> int:
        self.sizes.append(len(arrival.data_set))
        return SUCCESS


@pytest.fixture(scope="module")
def pairs() -> Iterator[Callable[[], tuple[socket.socket, socket.socket]]]:
    """Connected sockets: of the peer, and of the association."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def pair() -> tuple[socket.socket, socket.socket]:
            peer = socket.create_connection(server.getsockname())
            return peer, server.accept()[0]

        yield pair


class Anybody:
    """A place for whoever asks."""

    def take(self, requested: Requested) -> None:
        return None

    def give_back(self) -> None:
        """There is always another."""


WORKERS = Workers("fuzzed")


def ended(pair: tuple[socket.socket, socket.socket], sent: bytes) -> str:
    """How an association ends that is sent these bytes and then nothing: in a planned way, or by a Violation."""
    peer, accepted = pair
    receiver = Receiver()
    memory = Budget(WINDOW_BYTES)
    room = Room(1 << 20, BufferPool(memory), Budget(0))
    operations = {
        command_set.C_ECHO_RQ: Echo(),
        command_set.C_STORE_RQ: Store(receiver, "RADSTREAM", room),
    }
    connection = Connection(accepted)
    connection.prepare()
    ahead = ReadingAhead(4, room.memory, WORKERS)
    association = Association(connection, LIMITS, operations, Anybody(), ahead)

    def speak() -> None:
        try:
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(65_536):
                pass
        except OSError:
            pass

    speaking = threading.Thread(target=speak)
    speaking.start()
    try:
        how = association.run()
        assert memory.left == WINDOW_BYTES
        return how
    except Violation:
        assert memory.left == WINDOW_BYTES
        return "aborted"
    finally:
        accepted.close()
        speaking.join()
        peer.close()


ASKED = st.sampled_from([associate_rq(), windowed(0), windowed(2)])
FRAGMENTS = st.builds(
    pdv,
    st.binary(max_size=40) | st.sampled_from([store_rq(), echo_rq(), Ct().data_set()]),
    command=st.booleans(),
    last=st.booleans(),
    context=st.sampled_from([1, 3, 5]),
)
PDUS = st.one_of(
    st.lists(FRAGMENTS, max_size=4).map(lambda fragments: p_data(*fragments)),
    st.sampled_from([associate_rq(), RELEASE_RQ, RELEASE_RP, ABORT]),
    st.builds(pdu, st.integers(0, 9), st.binary(max_size=60)),
    st.binary(max_size=60),
)


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_any_bytes_end_a_connection_as_planned(
    pairs: Callable[[], tuple[socket.socket, socket.socket]], sent: bytes
) -> None:
    assert ended(pairs(), sent) in ENDS | {"aborted"}


@given(ASKED, st.lists(PDUS, max_size=8).map(b"".join), st.integers(0, 400))
@settings(max_examples=150, deadline=None)
def test_any_pdus_end_an_association_as_planned_and_take_no_memory_for_promises(
    pairs: Callable[[], tuple[socket.socket, socket.socket]], begun: bytes, sent: bytes, cut: int
) -> None:
    pair = pairs()
    tracemalloc.start()
    try:
        how = ended(pair, begun + sent[: len(sent) - cut])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert how in ENDS | {"aborted"}
    assert peak < MEMORY_BYTES_MAX


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damage_to_a_good_conversation_ends_it_as_planned(
    pairs: Callable[[], tuple[socket.socket, socket.socket]], data: st.DataObject
) -> None:
    spoken = bytearray(
        data.draw(ASKED)
        + p_data(pdv(store_rq(), command=True), pdv(Ct().data_set()[:300]))
        + p_data(pdv(echo_rq(), command=True, context=3))
        + RELEASE_RQ
    )
    for _ in range(data.draw(st.integers(0, 4))):
        spoken[data.draw(st.integers(0, len(spoken) - 1))] = data.draw(st.integers(0, 255))
    assert ended(pairs(), bytes(spoken)) in ENDS | {"aborted"}


@given(st.binary(max_size=200))
def test_any_bytes_are_a_command_set_or_a_violation(data: bytes) -> None:
    try:
        command_set.decode(data)
    except Violation:
        return
    assert data[:4] == bytes(4)


@given(st.data())
def test_damage_to_a_command_set_is_read_or_is_a_violation(data: st.DataObject) -> None:
    spoken = bytearray(store_rq())
    for _ in range(data.draw(st.integers(1, 4))):
        spoken[data.draw(st.integers(0, len(spoken) - 1))] = data.draw(st.integers(0, 255))
    try:
        asked = command_set.decode(bytes(spoken))
    except Violation:
        return
    command_set.response(asked, command_set.C_STORE_RSP, 0)


@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda rest: associate_rq()[6:] + rest))
def test_any_bytes_are_a_request_or_a_violation(data: bytes) -> None:
    try:
        negotiate(decode(data), 16_384)
    except Violation:
        return


@given(st.data())
def test_damage_to_a_request_is_answered_or_is_a_violation(data: st.DataObject) -> None:
    spoken = bytearray(associate_rq()[6:])
    for _ in range(data.draw(st.integers(1, 6))):
        spoken[data.draw(st.integers(0, len(spoken) - 1))] = data.draw(st.integers(0, 255))
    try:
        negotiate(decode(bytes(spoken)), 16_384)
    except Violation:
        return
