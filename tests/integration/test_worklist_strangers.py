"""A listener that pynetdicom serves: who may not come in takes no room of who may, and one peer not that of all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from streams.sop_classes import MODALITY_WORKLIST
from streams.store_scu import Target
from streams.tls.files import Port
from tests.certificates import client_context
from tests.event_streams import Hospital as Protected
from tests.event_streams import new_log
from tests.raw_peer import ABORT, RELEASE_RQ, RawPeer, associate_rq, context_item
from tests.routers import IMPLICIT
from tests.secured import Hospital, hospital, known
from tests.waiting import wait_until
from tests.worklists import Worklist, running_worklist

HERE = '["127.0.0.1"]'
# Rejected transient, by the service provider's presentation part: local limit exceeded.
NO_ROOM = (2, 3, 2)
STRANGERS = [f"127.0.0.{number}" for number in range(9, 19)]
ASKED = associate_rq(context_item(1, MODALITY_WORKLIST, (IMPLICIT,)))


@pytest.fixture
def site(tmp_path: Path) -> Hospital:
    """CT1 by TLS and LOCAL without, from one address; MR1 by TLS from another."""
    certified = known("CT1", 'common_name = "ct1.example"', addresses=HERE)
    far = known("MR1", 'common_name = "mr1.example"', addresses='["127.0.0.2"]')
    return hospital(tmp_path, certified, known("LOCAL", addresses=HERE), far)


@pytest.fixture
def worklist(site: Hospital) -> Iterator[Worklist]:
    tls = Port(port=0, certificate=site.ours.certificate_file, key=site.ours.key_file, ca=site.authority.file)
    with running_worklist(new_log(), Protected(), peers=site.peers, tls=tls, associations_max=4) as running:
        yield running


def target(worklist: Worklist, *, by_tls: bool = False) -> Target:
    port = worklist.tls_port if by_tls else worklist.port
    assert port is not None
    return Target("RADSTREAM", worklist.host, port)


def as_peer(ae_title: str) -> bytes:
    return ASKED.replace(b"PEER".ljust(16), ae_title.encode().ljust(16))


@contextmanager
def held(at: Target, sources: list[str], says: bytes = b"") -> Iterator[None]:
    """Eight connections of each, which say something or nothing, and stay."""
    with ExitStack() as stack:
        for source in sources * 8:
            # Where there is no room for it, it may be closed before it has said anything.
            with suppress(ConnectionError):
                stack.enter_context(RawPeer(at, source)).send(says)
        yield


def rejected(at: Target, source: str, ae_title: str) -> tuple[int, ...] | None:
    """Result, source and reason (PS3.8 table 9-21); None where it is closed without a word."""
    with suppress(ConnectionError), RawPeer(at, source) as peer:
        peer.send(as_peer(ae_title))
        if (answer := peer.read()) is not None:
            assert answer.kind == 3, answer
            return tuple(answer.body[1:4])
    return None


@pytest.mark.parametrize("says", [b"", ASKED[:40]], ids=["nothing", "a part of a request"])
def test_strangers_take_no_room_of_peers(worklist: Worklist, says: bytes) -> None:
    with held(target(worklist), STRANGERS, says), RawPeer(target(worklist)) as peer:
        assert peer.associated(as_peer("LOCAL"))


def test_one_that_may_come_by_tls_alone_is_a_stranger_where_there_is_none(site: Hospital, worklist: Worklist) -> None:
    with held(target(worklist), ["127.0.0.2", *STRANGERS]):
        assert worklist.ask("CT1", client_context(site.authority.file, site.scanner())).is_established


def test_a_flood_from_one_address_leaves_others_the_word_why_they_may_not_come_in(worklist: Worklist) -> None:
    with held(target(worklist), ["127.0.0.9"]):
        assert rejected(target(worklist), "127.0.0.10", "LOCAL") == (1, 1, 3)


def test_connections_without_an_association_take_no_room_of_associations(worklist: Worklist) -> None:
    """One address has three of four associations, and so six connections."""
    with ExitStack() as stack:
        idle = [stack.enter_context(RawPeer(target(worklist))) for _ in range(3)]
        for _ in range(3):
            stack.enter_context(RawPeer(target(worklist))).associated(as_peer("LOCAL"))
        idle[0].send(as_peer("LOCAL"))
        answer = idle[0].read()
        assert answer == (3, bytes((0, *NO_ROOM)))


def test_what_an_association_had_is_another_ones_once_it_is_over(worklist: Worklist) -> None:
    def again() -> bool:
        with suppress(ConnectionError), RawPeer(target(worklist)) as peer:
            peer.send(as_peer("LOCAL"))
            answer = peer.read()
            return answer is not None and answer.kind == 2
        return False

    for end in (RELEASE_RQ, ABORT, b""):
        with ExitStack() as stack:
            # Also those of the round before.
            peers = [stack.enter_context(one) for one in wait_until(lambda: three(worklist), "all places")]
            wait_until(lambda: rejected(target(worklist), "127.0.0.1", "LOCAL") == NO_ROOM, "the refusal")
            peers[0].send(end)
            if not end:
                peers[0].socket.close()
            wait_until(again, "the place that was given back")


def three(worklist: Worklist) -> list[RawPeer]:
    """All associations of one address; none where one is not to be had yet."""
    with ExitStack() as stack, suppress(ConnectionError):
        peers = [stack.enter_context(RawPeer(target(worklist))) for _ in range(3)]
        for peer in peers:
            peer.send(as_peer("LOCAL"))
            if (answer := peer.read()) is None or answer.kind != 2:
                return []
        stack.pop_all()
        return peers
    return []
