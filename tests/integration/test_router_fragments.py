"""Every arrangement of fragments that PS3.8 allows brings the same object (annex E); others end the association."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from streams.stored_file import stored_file
from tests.raw_peer import (
    ABORT,
    RELEASE_RQ,
    RawPeer,
    associate_rq,
    context_item,
    echo_rq,
    element,
    item,
    p_data,
    pdv,
    status_of,
    store_rq,
)
from tests.routers import CT, EXPLICIT, Ct, running_router

DATA = Ct().data_set()
COMMAND = store_rq()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def fragments(data: bytes, size: int, *, command: bool = False) -> list[bytes]:
    pieces = cut(data, size)
    return [pdv(piece, command=command, last=number == len(pieces) - 1) for number, piece in enumerate(pieces)]


ARRANGEMENTS: dict[str, Callable[[], bytes]] = {
    "one PDU for all": lambda: p_data(pdv(COMMAND, command=True), pdv(DATA)),
    "a PDU for each": lambda: p_data(pdv(COMMAND, command=True)) + p_data(pdv(DATA)),
    "many fragments in one PDU": lambda: p_data(*fragments(COMMAND, 7, command=True), *fragments(DATA, 9)),
    "a PDU for each byte": lambda: b"".join(
        p_data(one) for one in (*fragments(COMMAND, 1, command=True), *fragments(DATA, 1))
    ),
    "fragments over two PDUs": lambda: (
        p_data(*fragments(COMMAND, 20, command=True)[:2])
        + p_data(*fragments(COMMAND, 20, command=True)[2:], *fragments(DATA, 33)[:1])
        + p_data(*fragments(DATA, 33)[1:])
    ),
    "empty fragments": lambda: p_data(
        pdv(b"", command=True, last=False),
        pdv(COMMAND, command=True, last=False),
        pdv(b"", command=True, last=False),
        pdv(b"", command=True),
        pdv(b"", last=False),
        pdv(DATA, last=False),
        pdv(b"", last=False),
        pdv(b""),
    ),
}


@pytest.mark.parametrize("arrangement", ARRANGEMENTS)
@pytest.mark.parametrize("at_once", [True, False], ids=["in one write", "byte by byte"])
def test_an_object_is_the_same_however_it_is_cut(arrangement: str, at_once: bool) -> None:
    with running_router() as router, RawPeer(router.target).associated() as peer:
        message = ARRANGEMENTS[arrangement]()
        for piece in [message] if at_once else cut(message, 1):
            peer.send(piece)
        answer = peer.read()
        assert answer is not None
        assert status_of(answer) == 0x0000
        (event,) = router.received()
        assert router.held.read(event.object) == stored_file(CT, "1.2.3.4.5", EXPLICIT, DATA)


def test_requests_that_are_sent_ahead_are_answered_in_their_order() -> None:
    with running_router() as router, RawPeer(router.target).associated() as peer:
        messages = [
            p_data(pdv(store_rq(f"1.2.3.4.{number}", message_id=number), command=True))
            + p_data(pdv(Ct(instance=f"1.2.3.4.{number}").data_set()))
            for number in range(20)
        ]
        peer.send(b"".join(messages) + p_data(pdv(echo_rq(), command=True, context=3)) + RELEASE_RQ)
        answers = [peer.read() for _ in range(22)]
        responded_to = [answer.body.index(b"\x00\x00\x20\x01") + 8 for answer in answers[:20] if answer]
        assert [answer.body[at] for answer, at in zip(answers, responded_to, strict=False) if answer] == [*range(20)]
        assert [answer.kind for answer in answers if answer] == [4] * 21 + [6]
        assert len(router.received()) == 20


def test_two_messages_in_one_pdu_are_two_messages() -> None:
    with running_router() as router, RawPeer(router.target).associated() as peer:
        echo = pdv(echo_rq(), command=True, context=3)
        peer.send(p_data(pdv(COMMAND, command=True), pdv(DATA), echo, echo))
        answers = [peer.read() for _ in range(3)]
        assert [status_of(answer) for answer in answers if answer] == [0, 0, 0]


@pytest.mark.parametrize("size", [7, 64, 200, 0])
def test_a_response_keeps_to_what_the_peer_takes(size: int) -> None:
    user = item(0x51, size.to_bytes(4, "big"))
    with running_router() as router, RawPeer(router.target).associated(associate_rq(user=user)) as peer:
        peer.send(p_data(pdv(COMMAND, command=True), pdv(DATA)))
        response = b""
        while True:
            answer = peer.read()
            assert answer is not None
            assert not size or len(answer.body) <= size
            response += answer.body[6:]
            if answer.body[5] == 0x03:
                break
        assert response.endswith(b"1.2.3.4.5\0")


LIES = {
    "no fragment": p_data(),
    "half a fragment's head": p_data(pdv(COMMAND, command=True), b"\0\0\0"),
    "a fragment of no length": p_data(b"\0\0\0\0\1\3"),
    "a fragment of one byte": p_data(b"\0\0\0\1\1\3"),
    "a fragment beyond its PDU": p_data(b"\0\0\0\xff\1\3" + bytes(20)),
    "a fragment of 4 GB": p_data(b"\xff\xff\xff\xff\1\3" + bytes(20)),
    "a context that was not accepted": p_data(pdv(COMMAND, command=True, context=5)),
    "a data set without a command": p_data(pdv(DATA)),
    "a data set in another context": p_data(pdv(COMMAND, command=True), pdv(DATA, context=3)),
    "a command in two contexts": p_data(
        pdv(COMMAND[:9], command=True, last=False), pdv(COMMAND[9:], command=True, context=3)
    ),
    "a command within a data set": p_data(
        pdv(COMMAND, command=True), pdv(DATA, last=False), pdv(COMMAND, command=True)
    ),
    "a data set within a command": p_data(pdv(COMMAND[:9], command=True, last=False), pdv(DATA)),
    "a data set that was not announced": p_data(pdv(echo_rq(), command=True, context=3), pdv(DATA, context=3)),
    "a PDU that belongs to a request": associate_rq(),
    "a response to a release that nobody asked for": bytes.fromhex("06000000000400000000"),
    "a PDU of another type": bytes.fromhex("08000000000400000000"),
    "a PDU of type 0": bytes(10),
}


@pytest.mark.parametrize("lie", LIES)
def test_what_is_not_allowed_ends_that_association_by_an_abort_and_nothing_else(lie: str) -> None:
    with running_router() as router, RawPeer(router.target).associated() as good:
        with RawPeer(router.target).associated() as peer:
            peer.send(LIES[lie])
            answer = peer.read()
            while answer is not None and answer.kind == 4:
                answer = peer.read()
            assert answer is not None
            assert answer.kind == 7
            assert peer.is_closed()
        assert router.received() == []
        good.send(p_data(pdv(echo_rq(), command=True, context=3)))
        answer = good.read()
        assert answer is not None
        assert status_of(answer) == 0


@pytest.mark.parametrize(
    ("sent", "source_and_reason"),
    [
        (bytes.fromhex("08000000000400000000"), (2, 1)),
        (bytes.fromhex("06000000000400000000"), (2, 2)),
        (associate_rq(), (2, 2)),
        (p_data(), (2, 6)),
        (p_data(pdv(b"rubbish!", command=True)), (0, 0)),
    ],
)
def test_an_abort_says_who_and_why(sent: bytes, source_and_reason: tuple[int, int]) -> None:
    with running_router() as router, RawPeer(router.target).associated() as peer:
        peer.send(sent)
        assert peer.aborted() == source_and_reason


@pytest.mark.parametrize(
    "before", [RELEASE_RQ, p_data(pdv(COMMAND, command=True)), bytes.fromhex("02000000000400000000")]
)
def test_before_the_association_anything_but_a_request_is_aborted_by_the_user(before: bytes) -> None:
    with running_router() as router, RawPeer(router.target) as peer:
        peer.send(before)
        assert peer.aborted() == (0, 0)


def test_an_abort_of_the_peer_is_not_answered() -> None:
    with running_router() as router:
        for begin in (b"", associate_rq()):
            with RawPeer(router.target) as peer:
                peer.send(begin + ABORT)
                answer = peer.read() if begin else None
                assert answer is None or answer.kind == 2
                assert peer.is_closed()


def test_a_context_that_was_refused_is_not_used() -> None:
    request = associate_rq(context_item(1), context_item(5, "1.2.840.10008.5.1.4.31"))
    with running_router() as router, RawPeer(router.target).associated(request) as peer:
        peer.send(p_data(pdv(COMMAND, command=True, context=5)))
        assert peer.aborted()[0] == 2


@pytest.mark.parametrize("said", [b"", element(0, struct.pack("<I", 4)), element(0, b"")])
def test_a_command_without_a_right_group_length_is_answered(said: bytes) -> None:
    with running_router() as router, RawPeer(router.target).associated() as peer:
        peer.send(p_data(pdv(said + echo_rq()[12:], command=True, context=3)))
        answer = peer.read()
        assert answer is not None
        assert status_of(answer) == 0x0000
