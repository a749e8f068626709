"""The window of asynchronous operations: the next request is read while those before are performed, up to a bound."""

from __future__ import annotations

import errno
import struct
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from producers.dicom_router.upper_layer.messages import Pace
from tests.held_operations import LIMITS, MIB, MISTAKE, Held, Running, held_association, store, windowed
from tests.raw_peer import ABORT, RELEASE_RP, RELEASE_RQ, RawPeer, associate_rq, echo_rq, p_data, pdv, status_of

# Long enough for what is said before it is over, on a busy machine too.
SHORT = replace(LIMITS, association_s=3.0)


def answered(peer: RawPeer) -> tuple[int, int]:
    """Message ID being responded to, and status, of the response that comes next."""
    answer = peer.read()
    assert answer is not None, "the connection was closed"
    assert answer.kind == 4, answer
    at = answer.body.index(struct.pack("<HHI", 0, 0x0120, 2))
    return int(struct.unpack_from("<H", answer.body, at + 8)[0]), status_of(answer)


def another_has_been_there_and_back() -> None:
    """In which time an operation that may begin begins."""
    for _ in range(3):
        with held_association(1, associate_rq()) as other:
            other.peer.send(p_data(pdv(echo_rq(), command=True, context=3)))
            assert answered(other.peer) == (1, 0)


def test_as_many_operations_go_on_at_once_as_were_negotiated_and_no_more() -> None:
    with held_association(4) as running:
        for number in range(1, 7):
            running.peer.send(store(number))
        running.held.wait_for(4)
        another_has_been_there_and_back()
        assert sorted(running.held.begun) == [1, 2, 3, 4]
        running.held.let_go(3, 0xA700)
        assert answered(running.peer) == (3, 0xA700)
        running.held.wait_for(5)
        assert running.held.begun[4:] == [5]
        running.held.let_all_go()
        assert {answered(running.peer) for _ in range(5)} == {(number, 0) for number in (1, 2, 4, 5, 6)}


@pytest.mark.parametrize("request_", [associate_rq(), windowed(1)], ids=["no window", "a window of one"])
def test_who_asks_for_no_window_is_answered_before_the_next_is_read(request_: bytes) -> None:
    with held_association(4, request_) as running:
        running.peer.send(store(1) + store(2))
        running.held.wait_for(1)
        running.held.let_go(2)
        running.held.let_go(1)
        assert [answered(running.peer), answered(running.peer)] == [(1, 0), (2, 0)]
        assert running.held.begun == [1, 2]


def test_a_release_waits_for_what_is_outstanding() -> None:
    with held_association(4) as running:
        running.peer.send(store(1) + store(2) + RELEASE_RQ)
        running.held.wait_for(2)
        assert not running.place_given_back.is_set()
        running.held.let_go(2)
        assert answered(running.peer) == (2, 0)
        running.held.let_go(1)
        assert answered(running.peer) == (1, 0)
        assert running.peer.read() == (6, bytes(4))
        assert running.ended() == "released"


@pytest.mark.parametrize(
    ("last", "how"),
    [
        pytest.param(ABORT, "aborted_by_peer", id="an abort"),
        pytest.param(b"", "closed", id="a connection that is cut"),
        pytest.param(store(9)[:200], "closed", id="a connection that is cut within an object"),
    ],
)
def test_an_association_that_breaks_off_holds_its_place_until_its_operations_are_over(last: bytes, how: str) -> None:
    with held_association(4) as running:
        running.peer.send(store(1) + store(2) + last)
        running.peer.socket.shutdown(1)
        running.held.wait_for(2)
        assert running.thread.is_alive()
        running.held.let_all_go()
        assert running.ended() == how
        assert sorted(running.held.ended) == [1, 2]
        assert running.budget.left == running.budget.bytes_max


def test_who_breaks_the_protocol_is_answered_what_was_asked_before_and_then_aborted() -> None:
    with held_association(4) as running:
        running.peer.send(store(1) + store(2) + p_data(pdv(bytes(10), context=99)))
        running.held.wait_for(2)
        running.held.let_all_go()
        assert {answered(running.peer), answered(running.peer)} == {(1, 0), (2, 0)}
        assert running.peer.aborted() == (2, 6)
        assert running.ended() == "aborted"


def test_silence_is_no_idleness_while_the_peer_waits_for_us() -> None:
    hasty = replace(LIMITS, pace=Pace(3.0, 1024))
    with held_association(4, limits=hasty) as running:
        running.peer.send(store(1) + store(2))
        running.held.wait_for(2)
        # One that began later and waits for nothing is aborted by then.
        with held_association(4, limits=hasty) as idle:
            assert idle.peer.aborted() == (2, 0)
        running.held.let_go(1)
        assert answered(running.peer) == (1, 0)
        with held_association(4, limits=hasty) as idle:
            assert idle.peer.aborted() == (2, 0)
        running.held.let_go(2)
        assert answered(running.peer) == (2, 0)
        assert running.peer.aborted() == (2, 0)


def test_at_the_end_of_its_time_an_association_is_answered_and_then_asked_to_release() -> None:
    with held_association(4, limits=SHORT) as running:
        running.peer.send(store(1) + store(2))
        running.held.wait_for(2)
        with held_association(4, limits=SHORT) as other:
            assert other.peer.read() == (5, bytes(4))
        running.held.let_all_go()
        assert {answered(running.peer), answered(running.peer)} == {(1, 0), (2, 0)}
        assert running.peer.read() == (5, bytes(4))
        running.peer.send(RELEASE_RP)
        assert running.ended() == "released"


@pytest.mark.parametrize("request_", [associate_rq(), windowed(1)], ids=["no window", "a window of one"])
def test_a_message_that_comes_at_the_end_of_its_time_crosses_the_request_to_release(request_: bytes) -> None:
    """Its sender keeps it; what was read of it is not missing from what follows."""
    with held_association(4, request_, limits=SHORT) as running:
        running.peer.send(store(1))
        running.held.wait_for(1)
        running.peer.send(store(2, data=bytes(8000)))
        with held_association(4, limits=SHORT) as other:
            assert other.peer.read() == (5, bytes(4))
        running.held.let_all_go()
        assert answered(running.peer) == (1, 0)
        assert running.peer.read() == (5, bytes(4))
        running.peer.send(RELEASE_RP)
        assert running.ended() == "released"
        assert running.held.begun == [1]


@pytest.mark.parametrize(
    "second",
    [
        pytest.param(store(2, "1.2.3.1"), id="the same instance"),
        pytest.param(store(1, "1.2.3.9"), id="the same message id"),
    ],
)
def test_what_could_be_confused_is_done_one_after_the_other(second: bytes) -> None:
    with held_association(4) as running:
        running.peer.send(store(1, "1.2.3.1") + second + store(3))
        running.held.let_go(3)
        running.held.let_go(2)
        running.held.wait_for(1)
        another_has_been_there_and_back()
        assert running.held.begun == [1]
        running.held.let_go(1)
        running.held.wait_for(2)
        running.held.let_all_go()
        assert answered(running.peer) == (1, 0)
        assert {answered(running.peer)[1], answered(running.peer)[1]} == {0}


def test_what_is_read_ahead_leaves_half_of_the_memory_to_others() -> None:
    with held_association(16, memory_bytes=8 * MIB) as running:
        running.peer.send(b"".join(store(number) for number in range(1, 17)))
        running.held.wait_for(5)
        running.held.let_all_go()
        assert {answered(running.peer) for _ in range(16)} == {(number, 0) for number in range(1, 17)}
        running.peer.send(RELEASE_RQ)
        assert running.peer.read() == (6, bytes(4))
        assert running.ended() == "released"
        assert running.budget.left == 8 * MIB


def test_without_memory_for_more_there_is_one_operation_at_a_time() -> None:
    with held_association(16, memory_bytes=0) as running:
        running.peer.send(store(1) + store(2))
        running.held.let_go(2)
        running.held.wait_for(1)
        running.held.let_go(1)
        assert [answered(running.peer), answered(running.peer)] == [(1, 0), (2, 0)]


def test_an_operation_that_fails_by_a_mistake_of_ours_aborts_its_association() -> None:
    with held_association(4) as running:
        running.peer.send(store(1) + store(2))
        running.held.wait_for(2)
        running.held.let_go(1, MISTAKE)
        running.held.let_go(2)
        running.held.let_all_go()
        kinds = []
        while (answer := running.peer.read()) is not None:
            kinds.append(answer.kind)
        assert kinds[-1] == 7
        assert running.ended() == "failed"
        assert running.budget.left == running.budget.bytes_max


def test_an_operation_that_fails_by_the_system_is_not_taken_for_a_connection_that_broke(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> int:
        raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr(Held, "answer", fails)
    with held_association(4) as running:
        running.peer.send(store(1))
        assert running.peer.aborted() == (2, 0)
        assert running.ended() == "failed"


class Conversation(RuleBasedStateMachine):
    """Requests are sent and operations end in any order; each is answered once, as it ended, and nothing is left."""

    SIZE = 3

    def __init__(self) -> None:
        super().__init__()
        self.context = held_association(self.SIZE, memory_bytes=8 * MIB)
        self.running: Running = self.context.__enter__()
        self.sent: list[int] = []
        self.answered: list[int] = []

    @property
    def outstanding(self) -> list[int]:
        return [number for number in self.sent if number not in self.answered][: self.SIZE]

    @precondition(lambda self: len(self.sent) < 12)
    @rule(size=st.integers(0, 3000), cut=st.integers(1, 100))
    def send(self, size: int, cut: int) -> None:
        number = len(self.sent) + 1
        whole = store(number, data=bytes(size))
        self.running.peer.send(whole[:cut])
        self.running.peer.send(whole[cut:])
        self.sent.append(number)

    @precondition(lambda self: self.outstanding)
    @rule(data=st.data(), status=st.sampled_from([0x0000, 0xA700, 0xC000]))
    def end(self, data: st.DataObject, status: int) -> None:
        number = data.draw(st.sampled_from(self.outstanding))
        self.running.held.let_go(number, status)
        assert answered(self.running.peer) == (number, status)
        self.answered.append(number)

    @invariant()
    def those_have_begun_that_fit_the_window(self) -> None:
        expected = len(self.answered) + len(self.outstanding)
        self.running.held.wait_for(expected)
        assert sorted(self.running.held.begun) == sorted({*self.answered, *self.outstanding})

    def teardown(self) -> None:
        left = len(self.sent) - len(self.answered)
        self.running.peer.send(RELEASE_RQ)
        self.running.held.let_all_go()
        assert len({answered(self.running.peer) for _ in range(left)}) == left
        assert self.running.peer.read() == (6, bytes(4))
        assert self.running.ended() == "released"
        assert self.running.budget.left == 8 * MIB
        self.context.__exit__(None, None, None)


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
