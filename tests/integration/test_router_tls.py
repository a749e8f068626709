"""DICOM over TLS: whose certificate is right may send, and everybody else is told to go, quickly and with a reason."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from radstream.store_scu import Target
from tests.certificates import Authority, Identity
from tests.logged import captured, lines
from tests.raw_peer import RELEASE_RP, RELEASE_RQ, RawPeer, associate_rq
from tests.routers import Ct, Router
from tests.secured import Hospital, associate, echoes, hospital, known, rejection, trusted
from tests.waiting import wait_until

CALLING_AE_NOT_RECOGNIZED, CALLED_AE_NOT_RECOGNIZED, LOCAL_LIMIT = (1, 1, 3), (1, 1, 7), (2, 3, 2)


@pytest.fixture
def site(tmp_path: Path) -> Hospital:
    return hospital(tmp_path)


def handshakes(result: str) -> float:
    return REGISTRY.get_sample_value("radstream_tls_handshakes_total", {"result": result}) or 0.0


def secured(router: Router) -> Target:
    assert router.secured is not None
    return router.secured


def audited(router: Router) -> list[tuple[str, str, str]]:
    """Action, actor and why, of everything that was refused so far."""
    router.refusals.publish(all_of_it=True)
    return [(event.action, event.actor, event.attributes["why"]) for event in router.audited()]


@contextmanager
def shaken(router: Router, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """A TLS connection to the router, no more."""
    target = secured(router)
    with socket.create_connection((target.host, target.port), 15) as plain, context.wrap_socket(plain) as done:
        yield done


def test_an_association_over_tls_ends_with_a_word(site: Hospital) -> None:
    """PS3.8 section 9.2 in TLS: A-RELEASE-RP, then close_notify, so that nobody takes the end for a cut."""
    context = trusted(site, site.scanner())
    with site.router() as router, socket.create_connection((secured(router).host, secured(router).port), 15) as plain:
        peer = context.wrap_socket(plain, suppress_ragged_eofs=False)
        peer.sendall(associate_rq().replace(b"PEER".ljust(16), b"CT1".ljust(16)))
        assert peer.recv(1) == b"\x02"
        while peer.pending():
            peer.recv(4096)
        peer.sendall(RELEASE_RQ)
        assert peer.recv(10) == RELEASE_RP
        assert peer.recv(1) == b""
        peer.close()


def test_who_has_the_right_certificate_sends(site: Hospital) -> None:
    with site.router() as router:
        association = associate(secured(router), "CT1", trusted(site, site.scanner()))
        assert association.is_established
        status = association.send_c_store(Ct().dataset())
        association.release()

        assert status.Status == 0x0000
        (event,) = router.received()
        assert event.source.calling_ae == "CT1"
        assert router.held.read(event.object).endswith(Ct().pixels)
        assert audited(router) == []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_both_there(site: Hospital, version: ssl.TLSVersion) -> None:
    context = trusted(site, site.scanner())
    context.minimum_version = context.maximum_version = version
    with site.router() as router, shaken(router, context) as done:
        assert done.version() == version.name.replace("_", ".")
        assert echoes(secured(router), "CT1", context)


WRONG: dict[str, Callable[[Hospital], Identity | None]] = {
    "no_certificate": lambda _: None,
    "certificate_expired": lambda site: site.scanner(days=(-30, -1)),
    "certificate_untrusted": lambda site: site.authority.self_signed("ct1.example"),
    "certificate_untrusted: of another authority": lambda site: Authority(site.folder / "other").issue("ct1.example"),
    "certificate_untrusted: another authority by the same name": lambda site: Authority(
        site.folder / "other", "Test CA"
    ).issue("ct1.example"),
    "certificate_untrusted: not good yet": lambda site: site.scanner(days=(1, 30)),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_certificate_that_proves_nothing_gets_no_association(site: Hospital, wrong: str) -> None:
    result = wrong.partition(":")[0]
    before = handshakes(result)
    with site.router() as router:
        assert not echoes(secured(router), "CT1", trusted(site, WRONG[wrong](site)))
        wait_until(lambda: handshakes(result) == before + 1, "the refusal in the metric")
        assert audited(router) == [("tls.refused", "?", result)]
        assert echoes(secured(router), "CT1", trusted(site, site.scanner()))


def test_a_revoked_certificate_gets_no_association(tmp_path: Path) -> None:
    site = hospital(tmp_path)
    lost, good = site.scanner(), site.scanner()
    crl = site.authority.revoke([lost])
    site.tls = type(site.tls)(port=0, certificate=site.tls.certificate, key=site.tls.key, ca=site.tls.ca, crl=crl)
    with site.router() as router:
        assert not echoes(secured(router), "CT1", trusted(site, lost))
        assert echoes(secured(router), "CT1", trusted(site, good))
        wait_until(lambda: audited(router) == [("tls.refused", "?", "certificate_revoked")], "the refusal in the audit")


def test_the_certificate_of_another_ae_title_is_not_enough(tmp_path: Path) -> None:
    site = hospital(tmp_path, known("CT1", 'common_name = "ct1.example"'), known("MR1", 'common_name = "mr1.example"'))
    with site.router() as router:
        assert (
            rejection(secured(router), "CT1", trusted(site, site.scanner("mr1.example"))) == CALLING_AE_NOT_RECOGNIZED
        )
        assert audited(router) == [("association.refused", "CT1", "certificate")]
        assert echoes(secured(router), "MR1", trusted(site, site.scanner("mr1.example")))


def test_a_subject_with_two_names_is_nobody(site: Hospital) -> None:
    with site.router() as router:
        both = site.authority.issue("ct1.example", "mr1.example")
        assert rejection(secured(router), "CT1", trusted(site, both)) == CALLING_AE_NOT_RECOGNIZED


def test_a_fingerprint_knows_one_certificate_and_no_other_of_the_same_name(site: Hospital) -> None:
    right, other = site.scanner(), site.scanner()
    shown = ":".join(f"{byte:02X}" for byte in bytes.fromhex(right.fingerprint))
    site.write_peers(known("CT1", f'fingerprints = ["{shown}"]'))
    with site.router() as router:
        assert echoes(secured(router), "CT1", trusted(site, right))
        assert rejection(secured(router), "CT1", trusted(site, other)) == CALLING_AE_NOT_RECOGNIZED


def test_a_self_signed_certificate_is_believed_where_it_is_among_the_authorities(site: Hospital) -> None:
    own = site.authority.self_signed("ct1.example")
    both = site.folder / "both.pem"
    both.write_bytes(site.authority.file.read_bytes() + own.certificate_file.read_bytes())
    site.tls = type(site.tls)(port=0, certificate=site.tls.certificate, key=site.tls.key, ca=both)
    site.write_peers(known("CT1", f'fingerprints = ["{own.fingerprint}"]'))
    with site.router() as router:
        assert echoes(secured(router), "CT1", trusted(site, own))


def old_tls(context: ssl.SSLContext) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def without_forward_secrecy(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES256-GCM-SHA384:ECDHE-ECDSA-AES256-SHA384")


@pytest.mark.parametrize("weaken", [old_tls, without_forward_secrecy])
def test_what_bcp_195_does_not_want_is_not_spoken(site: Hospital, weaken: Callable[[ssl.SSLContext], None]) -> None:
    context = trusted(site, site.scanner())
    weaken(context)
    with site.router() as router:
        with pytest.raises(ssl.SSLError, match="ALERT"), shaken(router, context):
            pass
        wait_until(lambda: audited(router) == [("tls.refused", "?", "parameters")], "the refusal in the audit")


def test_a_resumed_session_brings_back_no_certificate_that_has_ended(site: Hospital) -> None:
    context = trusted(site, site.scanner(days=(-1, 1)))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with site.router() as router:
        target = secured(router)
        # OpenSSL forgets a session whose connection is closed without a word, so this one stays open.
        with shaken(router, context) as first:
            router.clock.ahead_s = timedelta(days=2).total_seconds()
            with (
                socket.create_connection((target.host, target.port), 15) as plain,
                context.wrap_socket(plain, session=first.session) as second,
            ):
                assert second.session_reused, "this test is of a session that OpenSSL resumes"
                assert second.recv(1) == b""
        assert audited(router) == [("tls.refused", "?", "certificate_expired")]


def test_the_called_title_must_be_ours(site: Hospital) -> None:
    with site.router() as router:
        context = trusted(site, site.scanner())
        assert rejection(secured(router), "CT1", context, called_ae="OLDPACS") == CALLED_AE_NOT_RECOGNIZED
        assert audited(router) == [("association.refused", "CT1", "called_ae")]


def test_nobody_may_send_whom_the_file_does_not_name(site: Hospital) -> None:
    with site.router() as router:
        assert rejection(secured(router), "CT9", trusted(site, site.scanner())) == CALLING_AE_NOT_RECOGNIZED
        assert audited(router) == [("association.refused", "CT9", "calling_ae")]


def test_the_right_certificate_from_another_address_is_not_enough(site: Hospital) -> None:
    site.write_peers(
        known("CT1", 'common_name = "ct1.example"', addresses='["10.20.3.7", "2001:db8::/32"]'),
        known("MR1", 'common_name = "mr1.example"'),
    )
    with site.router() as router:
        assert rejection(secured(router), "CT1", trusted(site, site.scanner())) == CALLING_AE_NOT_RECOGNIZED
        assert audited(router) == [("association.refused", "CT1", "address")]


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


def test_an_association_over_tls_is_released_when_the_router_stops(site: Hospital) -> None:
    context = trusted(site, site.scanner())
    with site.router() as router:
        target = secured(router)
        plain = socket.create_connection((target.host, target.port), 15)
        # Whether the end was said (close_notify) or only happened makes a difference to this one.
        peer = context.wrap_socket(plain, suppress_ragged_eofs=False)
        peer.sendall(associate_rq().replace(b"PEER".ljust(16), b"CT1".ljust(16)))
        assert peer.recv(1) == b"\x02"
        while peer.pending():
            peer.recv(4096)
    with peer:
        assert peer.recv(10) == RELEASE_RQ
        peer.sendall(RELEASE_RP)


def test_a_title_has_no_more_associations_than_it_may_have(site: Hospital) -> None:
    site.write_peers(
        known("CT1", 'common_name = "ct1.example"', "associations_max = 1"), known("MR1", 'common_name = "mr1.example"')
    )
    with site.router() as router:
        context = trusted(site, site.scanner())
        first = associate(secured(router), "CT1", context)
        assert first.is_established
        assert rejection(secured(router), "CT1", context) == LOCAL_LIMIT
        assert echoes(secured(router), "MR1", trusted(site, site.scanner("mr1.example")))
        first.release()
        wait_until(lambda: echoes(secured(router), "CT1", context), "room again")
        assert ("association.refused", "CT1", "limit") in audited(router)


# Without TLS.


def exception(until: datetime) -> str:
    return known("OLD1", f'plain = {{ address = "127.0.0.1", until = {until:%Y-%m-%d} }}')


def test_an_exception_lets_one_title_in_without_tls_until_its_day_is_over(site: Hospital) -> None:
    site.write_peers(exception(datetime.now(UTC)), known("CT1", 'common_name = "ct1.example"'))
    with site.router() as router:
        assert echoes(router.target, "OLD1")
        assert rejection(router.target, "CT1") == CALLING_AE_NOT_RECOGNIZED
        router.clock.ahead_s = timedelta(days=1).total_seconds()
        assert rejection(router.target, "OLD1") == CALLING_AE_NOT_RECOGNIZED
        refused = [(actor, why) for _, actor, why in audited(router)]
        assert refused == [("CT1", "plain"), ("OLD1", "exception_ended")]


def test_an_exception_is_for_one_address(site: Hospital) -> None:
    site.write_peers(exception(datetime.now(UTC)))
    with site.router() as router:
        assert rejection(router.target, "OLD1", source="127.0.0.2") == CALLING_AE_NOT_RECOGNIZED
        assert audited(router) == [("association.refused", "OLD1", "plain")]


def test_a_peer_of_this_machine_needs_neither_tls_nor_an_exception(site: Hospital) -> None:
    site.write_peers(known("LOCAL"))
    with site.router() as router:
        assert echoes(router.target, "LOCAL")
        assert rejection(router.target, "OTHER") == CALLING_AE_NOT_RECOGNIZED


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
            socket.create_connection((router.target.host, router.target.port), 15) as plain,
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
            peer.socket.settimeout(15)
            while peer.socket.recv(4096):
                pass
        assert echoes(secured(router), "CT1", trusted(site, site.scanner()))


def test_a_good_peer_is_answered_while_others_never_finish_their_handshakes(site: Hospital) -> None:
    before = handshakes("expired")
    with site.router(set_up_timeout_s=3.0) as router, ExitStack() as flood:
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
