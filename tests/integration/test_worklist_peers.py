"""Who is told the worklist: by the peers file, on a port without TLS and on one with it; read again when it changes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from pynetdicom.association import Association

from producers.worklist.config import Settings
from streams.tls.files import Port
from tests.certificates import client_context
from tests.event_streams import Hospital as Protected
from tests.event_streams import new_log
from tests.routers import AdjustableClock
from tests.secured import Hospital, hospital, known
from tests.waiting import wait_until
from tests.worklists import Worklist, running_worklist

CERTIFIED = known("CT1", 'common_name = "ct1.example"')


FAR = known("FAR", 'common_name = "far.example"', addresses='["10.20.0.0/16"]')


@pytest.fixture
def site(tmp_path: Path) -> Hospital:
    return hospital(tmp_path, CERTIFIED, known("LOCAL"), FAR)


@pytest.fixture
def worklist(site: Hospital) -> Iterator[Worklist]:
    tls = Port(port=0, certificate=site.ours.certificate_file, key=site.ours.key_file, ca=site.authority.file)
    with running_worklist(new_log(), Protected(), peers=site.peers, tls=tls) as running:
        yield running


def answer(association: Association) -> str:
    """accepted, or the reason of the rejection, or closed."""
    if association.is_established:
        association.release()
        return "accepted"
    said = association.acceptor.primitive
    return f"{said.result}/{said.result_source}/{said.diagnostic}" if association.is_rejected and said else "closed"


def test_a_title_is_bound_to_its_address_and_certificate(site: Hospital, worklist: Worklist) -> None:
    right = client_context(site.authority.file, site.scanner())
    other = client_context(site.authority.file, site.scanner("mr1.example"))
    assert answer(worklist.ask("CT1", right)) == "accepted"
    assert answer(worklist.ask("CT1", other)) == "1/1/3"
    assert answer(worklist.ask("CT2", right)) == "1/1/3"
    assert answer(worklist.ask("FAR", client_context(site.authority.file, site.scanner("far.example")))) == "1/1/3"
    assert answer(worklist.ask("LOCAL")) == "accepted"
    before = REGISTRY.get_sample_value("radstream_associations_refused_total", {"why": "plain"}) or 0
    assert answer(worklist.ask("CT1")) == "1/1/3"
    assert REGISTRY.get_sample_value("radstream_associations_refused_total", {"why": "plain"}) == before + 1


def test_who_shows_no_certificate_or_speaks_no_tls_is_closed(site: Hospital, worklist: Worklist) -> None:
    assert answer(worklist.ask("CT1", client_context(site.authority.file, None))) == "closed"
    assert worklist.tls_port is not None
    with socket.create_connection((worklist.host, worklist.tls_port), 10) as peer:
        peer.sendall(b"\x01\x00 no TLS at all")
        while peer.recv(4096):
            pass


def test_a_handshake_that_never_ends_keeps_nobody_waiting(site: Hospital, worklist: Worklist) -> None:
    assert worklist.tls_port is not None
    silent = [socket.create_connection((worklist.host, worklist.tls_port), 10) for _ in range(4)]
    try:
        assert answer(worklist.ask("CT1", client_context(site.authority.file, site.scanner()))) == "accepted"
        for _ in range(20):
            silent.append(socket.create_connection((worklist.host, worklist.tls_port), 10))
        # As many wait as an address may have, twice its associations; the others are closed at once.
        wait_until(lambda: _closed(silent) >= 8, "the others to be closed")
    finally:
        for one in silent:
            one.close()


def _closed(connections: list[socket.socket]) -> int:
    closed = 0
    for one in connections:
        one.setblocking(False)
        try:
            closed += one.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            pass
        except ConnectionError:
            closed += 1
    return closed


def test_a_peer_that_is_taken_away_is_told_nothing_more(site: Hospital, worklist: Worklist) -> None:
    assert answer(worklist.ask("LOCAL")) == "accepted"
    site.write_peers(CERTIFIED)
    worklist.door.look()
    worklist.door.look()
    assert answer(worklist.ask("LOCAL")) == "1/1/3"


def test_a_fault_while_a_peer_is_judged_lets_nobody_in(
    site: Hospital, worklist: Worklist, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pynetdicom goes on where a handler of this event raises: a full disk under the log must open no door."""

    def full(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("streams.peers.refusals.structlog.get_logger", full)
    assert answer(worklist.ask("NOBODY")) == "1/1/3"
    assert answer(worklist.ask("LOCAL")) == "accepted"
    monkeypatch.setattr("streams.peers.peer.Peers.judge", full)
    assert answer(worklist.ask("LOCAL")) == "1/1/3"


def test_other_machines_are_told_nothing_without_a_peers_file() -> None:
    with pytest.raises(ValueError, match="name a peers file"):
        Settings(http_port=0, port=0, dsn="", host="0.0.0.0")  # noqa: S104
    with running_worklist(new_log(), Protected()) as worklist:
        assert answer(worklist.ask("ANYBODY")) == "accepted"


def until(day: date) -> str:
    return f'plain = {{ address = "127.0.0.1", until = {day} }}'


def test_whoever_is_refused_is_in_the_audit(site: Hospital, worklist: Worklist) -> None:
    """Names were told to nobody, and nobody was told who had asked."""
    right = client_context(site.authority.file, site.scanner())
    other = client_context(site.authority.file, site.scanner("mr1.example"))
    for calling_ae, context in (("CT1", other), ("CT2", right), ("CT1", None)):
        assert answer(worklist.ask(calling_ae, context)) == "1/1/3"
    refused = [("CT1", "certificate"), ("CT2", "calling_ae"), ("CT1", "plain")]
    wait_until(lambda: worklist.audited() == [("association.refused", *one) for one in refused], "the audit")
    assert answer(worklist.ask("LOCAL", called_ae="OTHER")) == "1/1/7"
    assert answer(worklist.ask("CT1", client_context(site.authority.file, None))) == "closed"
    refused_since = [("association.refused", "LOCAL", "called_ae"), ("tls.refused", "?", "no_certificate")]
    wait_until(lambda: worklist.audited()[3:] == refused_since, "the audit")


def test_an_exception_from_tls_is_warned_of_before_it_ends_and_ends(tmp_path: Path) -> None:
    clock = AdjustableClock()
    today = clock.now().date()
    site = hospital(tmp_path, known("OLD", until(today + timedelta(days=20)), addresses='["127.0.0.1"]'))
    with running_worklist(new_log(), Protected(), clock=clock, peers=site.peers) as worklist:
        worklist.door.look()
        assert "the exception from TLS of OLD ends on" in worklist.health.warnings()["ends"]
        association = worklist.ask("OLD")
        assert association.is_established
        clock.ahead_s = 21 * 86_400.0
        assert answer(worklist.ask("OLD")) == "1/1/3"
        assert worklist.audited() == [("association.refused", "OLD", "exception_ended")]
        # Read again, and the association that was there goes on.
        site.write_peers(known("OLD", until(clock.now().date() + timedelta(days=100)), addresses='["127.0.0.1"]'))
        worklist.door.look()
        worklist.door.look()
        assert answer(worklist.ask("OLD")) == "accepted"
        assert "ends" not in worklist.health.warnings()
        assert answer(association) == "accepted"
