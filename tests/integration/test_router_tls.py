"""DICOM over TLS: whose certificate is right may send, and everybody else is told to go, quickly and with a reason."""

from __future__ import annotations

import socket
import ssl
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.certificates import Authority, Identity
from tests.raw_peer import RELEASE_RP, RELEASE_RQ, associate_rq
from tests.routers import Ct
from tests.secured import (
    CALLING_AE_NOT_RECOGNIZED,
    Hospital,
    associate,
    audited,
    echoes,
    handshakes,
    hospital,
    known,
    rejection,
    secured,
    shaken,
    trusted,
)
from tests.waiting import wait_until


@pytest.fixture
def site(tmp_path: Path) -> Hospital:
    return hospital(tmp_path)


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
        wait_until(lambda: audited(router) == [("tls.refused", "?", result)], "the refusal in the audit")
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
