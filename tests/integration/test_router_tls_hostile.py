"""What comes to the port for TLS and is none, or never ends: closed and said, and good peers do not notice."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.logged import captured, lines
from tests.raw_peer import RawPeer, associate_rq
from tests.secured import (
    Hospital,
    audited,
    echoes,
    handshakes,
    hospital,
    known,
    secured,
    trusted,
)
from tests.waiting import wait_until


@pytest.fixture
def site(tmp_path: Path) -> Hospital:
    return hospital(tmp_path)


def test_an_address_that_nobody_has_gets_no_handshake(site: Hospital) -> None:
    site.write_peers(known("CT1", 'common_name = "ct1.example"', addresses='["10.20.3.7"]'))
    with site.router() as router, RawPeer(secured(router)) as peer:
        peer.send(b"\x16\x03\x01")
        assert peer.is_closed()
        assert audited(router) == [("tls.refused", "?", "address")]


def test_a_probe_that_connects_and_closes_is_nobody_to_be_audited(site: Hospital) -> None:
    before = handshakes("closed")
    with site.router() as router:
        with RawPeer(secured(router)):
            pass
        wait_until(lambda: handshakes("closed") == before + 1, "the probe in the metric")
        assert audited(router) == []


def test_dicom_without_tls_at_the_port_for_tls_is_closed_and_said(site: Hospital) -> None:
    with captured() as log, site.router() as router:
        with RawPeer(secured(router)) as peer:
            peer.send(associate_rq())
            assert peer.is_closed()
        (line,) = [line for line in lines(log) if line["event"] == "tls_refused"]
        assert line["reason"] == "DICOM without TLS came to the port for TLS"
        assert line["peer"] == "127.0.0.1"


def test_tls_at_the_port_without_it_is_closed_and_said(site: Hospital) -> None:
    with captured() as log, site.router() as router:
        context = trusted(site, site.scanner())
        with (
            socket.create_connection((router.target.host, router.target.port), 60) as plain,
            pytest.raises(ssl.SSLError, match="WRONG_VERSION_NUMBER"),
        ):
            context.wrap_socket(plain)
        wait_until(lambda: "association_aborted" in log.getvalue(), "the line of the log")
        said = [line["reason"] for line in lines(log) if line["event"] == "association_aborted"]
        assert said == ["TLS came to the port for DICOM without TLS"]


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x16" * 400, b"\x00"])
def test_junk_at_the_port_for_tls_ends_in_a_close(site: Hospital, junk: bytes) -> None:
    with site.router() as router:
        with RawPeer(secured(router)) as peer:
            peer.send(junk)
            peer.socket.shutdown(socket.SHUT_WR)
            peer.socket.settimeout(60)
            while peer.socket.recv(4096):
                pass
        assert echoes(secured(router), "CT1", trusted(site, site.scanner()))


def test_a_good_peer_is_answered_while_others_never_finish_their_handshakes(site: Hospital) -> None:
    before = handshakes("expired")
    with site.router(set_up_timeout_s=15.0) as router, ExitStack() as flood:
        peers = [flood.enter_context(RawPeer(secured(router), source="127.0.0.9")) for _ in range(90)]
        for number, peer in enumerate(peers):
            # Nothing at all, the first byte, or a ClientHello that says it is longer than it ever will be.
            peer.send((b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")[number % 3])
        assert echoes(secured(router), "CT1", trusted(site, site.scanner()))
        assert handshakes("expired") == before, "the flood was over before the good peer was answered"
        for peer in peers:
            assert peer.is_closed()
        wait_until(lambda: handshakes("expired") == before + len(peers), "the end of all their handshakes")
        assert len(audited(router)) == 1


def test_a_handshake_that_drips_has_no_more_time_than_one_that_is_silent(site: Hospital) -> None:
    before = handshakes("expired")
    with site.router(set_up_timeout_s=1.0) as router, RawPeer(secured(router)) as peer:
        peer.socket.settimeout(0.05)
        hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(400)

        def dripped() -> bool:
            nonlocal hello
            try:
                peer.socket.send(hello[:1])
                hello = hello[1:]
                return peer.socket.recv(1) == b""
            except TimeoutError:
                return False
            except ConnectionError:
                return True

        wait_until(dripped, "the end of the handshake")
        assert hello, "it was read to its end"
        wait_until(lambda: handshakes("expired") == before + 1, "the handshake in the metric")
