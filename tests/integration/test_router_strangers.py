"""Who comes from where nobody may is told so, or closed, and takes none of the room of those who may come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streams.store_scu import Target
from tests.raw_peer import RawPeer, associate_rq
from tests.routers import Router
from tests.secured import (
    CALLING_AE_NOT_RECOGNIZED,
    Hospital,
    audited,
    echoes,
    handshakes,
    hospital,
    known,
    rejection,
    secured,
    trusted,
)
from tests.waiting import wait_until

HERE = '["127.0.0.1"]'
# Room for eight connections, six of one address.
SMALL = {"associations_max": 4}
STRANGERS = [f"127.0.0.{number}" for number in range(2, 12)]


@pytest.fixture
def site(tmp_path: Path) -> Hospital:
    """CT1 by TLS and LOCAL without, from one address; MR1 by TLS from another."""
    return hospital(
        tmp_path,
        known("CT1", 'common_name = "ct1.example"', addresses=HERE),
        known("LOCAL", addresses=HERE),
        known("MR1", 'common_name = "mr1.example"', addresses='["127.0.0.2/31"]'),
    )


@contextmanager
def held(target: Target, sources: list[str], says: bytes = b"") -> Iterator[list[RawPeer]]:
    """Eight connections of each, which say something or nothing, and stay."""
    with ExitStack() as stack:
        peers = []
        for source in sources * 8:
            # Where there is no room for it, the reset may be there before the connection is, or the word.
            with suppress(ConnectionError):
                peer = stack.enter_context(RawPeer(target, source))
                peers.append(peer)
                peer.send(says)
        yield peers


@pytest.mark.parametrize("says", [b"", associate_rq()[:40]], ids=["nothing", "a part of a request"])
def test_strangers_take_no_room_of_peers(site: Hospital, says: bytes) -> None:
    with site.router(**SMALL) as router, held(router.target, STRANGERS, says):
        assert echoes(router.target, "LOCAL")
        assert ("connection.refused", "?", "address") in audited(router)


@pytest.mark.parametrize("says", [b"", b"\x16\x03\x01"], ids=["nothing", "a part of a handshake"])
def test_strangers_take_no_room_of_peers_that_come_by_tls(site: Hospital, says: bytes) -> None:
    with site.router(**SMALL) as router, held(secured(router), STRANGERS[2:], says):
        assert echoes(secured(router), "CT1", trusted(site, site.scanner()))
        assert ("connection.refused", "?", "address") in audited(router)


def test_one_that_may_come_by_tls_alone_is_a_stranger_where_there_is_none(site: Hospital) -> None:
    with site.router(**SMALL) as router, held(router.target, ["127.0.0.2", "127.0.0.3"]):
        assert echoes(router.target, "LOCAL")
        assert ("connection.refused", "?", "address") in audited(router)


def test_a_flood_from_one_address_leaves_others_the_word_why_they_may_not_come_in(site: Hospital) -> None:
    with site.router(**SMALL) as router, held(router.target, ["127.0.0.9"]):
        assert rejection(router.target, "CT9", source="127.0.0.10") == CALLING_AE_NOT_RECOGNIZED
        assert ("association.refused", "CT9", "calling_ae") in audited(router)


def test_a_stranger_has_room_again_when_one_has_left(site: Hospital) -> None:
    with site.router(**SMALL) as router:
        with held(router.target, ["127.0.0.9"]):
            pass
        wait_until(lambda: told(router.target, "127.0.0.9"), "the word to a stranger")


def told(target: Target, source: str) -> bool:
    with suppress(ConnectionError), RawPeer(target, source) as peer:
        peer.send(associate_rq())
        answer = peer.read()
        return answer is not None and answer.kind == 3
    return False


def test_an_exception_makes_its_address_a_peers_until_its_day_is_over(site: Hospital) -> None:
    """None of those who might be let in is taken for a stranger: it has its share of the room, six of eight."""
    today = datetime.now(UTC)
    old = f'plain = {{ address = "127.0.0.7", until = {today:%Y-%m-%d} }}'
    site.write_peers(known("OLD1", old, addresses='["127.0.0.0/8"]'))
    with site.router(**SMALL) as router:
        with ExitStack() as stack:
            six = [stack.enter_context(RawPeer(router.target, "127.0.0.7")) for _ in range(6)]
            request = associate_rq().replace(b"PEER".ljust(16), b"OLD1".ljust(16))
            assert six[5].associated(request)
        router.clock.ahead_s = timedelta(days=1).total_seconds()
        wait_until(lambda: told(router.target, "127.0.0.7"), "the word to a stranger")
        with held(router.target, ["127.0.0.7"]):
            wait_until(lambda: ("connection.refused", "?", "address") in audited(router), "strangers to be refused")


def test_a_peer_that_the_file_has_from_now_on_is_none_of_the_strangers(site: Hospital) -> None:
    with site.router(**SMALL) as router, ExitStack() as stack:
        stack.enter_context(held(router.target, ["127.0.0.9"]))
        wait_until(lambda: counted(router) == 4, "all beyond the strangers' share to be refused")
        site.write_peers(known("LOCAL", addresses='["127.0.0.1", "127.0.0.9"]'))
        router.trust.look()
        router.trust.look()
        peer = stack.enter_context(RawPeer(router.target, "127.0.0.9"))
        assert peer.associated(associate_rq().replace(b"PEER".ljust(16), b"LOCAL".ljust(16)))


def test_over_their_share_peers_are_refused_and_it_is_said_and_counted(site: Hospital) -> None:
    with site.router(**SMALL) as router, held(router.target, ["127.0.0.1"]):
        wait_until(lambda: audited(router), "the two beyond the share to be refused")
        assert set(audited(router)) == {("connection.refused", "?", "limit")}
        wait_until(lambda: counted(router) == 2, "both to be counted")


def counted(router: Router) -> int:
    """How many all events of the audit stand for."""
    router.refusals.publish(all_of_it=True)
    return sum(int(event.attributes["count"]) for event in router.audited())


def test_a_stranger_is_told_nothing_of_tls(site: Hospital) -> None:
    before = handshakes("address")
    with site.router() as router, RawPeer(secured(router), "127.0.0.9") as peer:
        peer.send(b"\x16\x03\x01")
        assert peer.is_closed()
        assert handshakes("address") == before + 1
