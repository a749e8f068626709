"""Peers and certificates change while associations go on; what is broken changes nothing, and is said."""

from __future__ import annotations

import hashlib
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from tests.certificates import Authority
from tests.logged import captured, lines
from tests.routers import Ct, Router
from tests.secured import Hospital, associate, echoes, hospital, known, rejection, trusted

NOT_RECOGNIZED = (1, 1, 3)


@pytest.fixture
def site(tmp_path: Path) -> Hospital:
    return hospital(tmp_path)


def look(router: Router) -> None:
    """What the main loop does in two seconds: files count as changed when they have stood still for one."""
    router.trust.look()
    router.trust.look()


def shown(router: Router, context: ssl.SSLContext) -> str:
    """SHA-256 of the certificate that the router shows."""
    assert router.secured is not None
    with (
        socket.create_connection((router.secured.host, router.secured.port), 15) as plain,
        context.wrap_socket(plain) as done,
    ):
        return hashlib.sha256(done.getpeercert(binary_form=True) or b"").hexdigest()


def files_read(what: str, result: str) -> float:
    return REGISTRY.get_sample_value("radstream_files_read_total", {"what": what, "result": result}) or 0.0


def days_left(what: str) -> float:
    found = REGISTRY.get_sample_value("radstream_trust_days_left", {"section": "router.tls", "what": what})
    assert found is not None
    return found


def test_a_new_certificate_is_shown_to_who_comes_next_and_an_association_goes_on(site: Hospital) -> None:
    context = trusted(site, site.scanner())
    with site.router() as router:
        assert router.secured is not None
        going_on = associate(router.secured, "CT1", context)
        assert shown(router, context) == site.ours.fingerprint

        renewed = site.authority.issue("router.example")
        site.tls.certificate.write_bytes(renewed.certificate_file.read_bytes())
        site.tls.key.write_bytes(renewed.key_file.read_bytes())
        look(router)

        assert shown(router, context) == renewed.fingerprint
        assert going_on.send_c_store(Ct().dataset()).Status == 0x0000
        going_on.release()
        assert going_on.is_released
        assert echoes(router.secured, "CT1", context)


def test_a_certificate_without_its_key_changes_nothing_until_the_key_is_there_too(site: Hospital) -> None:
    context = trusted(site, site.scanner())
    renewed = site.authority.issue("router.example")
    before = files_read("tls", "refused")
    with captured() as log, site.router() as router:
        site.tls.certificate.write_bytes(renewed.certificate_file.read_bytes())
        look(router)
        assert shown(router, context) == site.ours.fingerprint
        assert "is not the key of" in router.health.warnings()["tls"]
        assert files_read("tls", "refused") == before + 1
        assert router.health.failing() == {}
        assert [line["what"] for line in lines(log) if line["event"] == "files_cannot_be_used"] == ["tls"]

        site.tls.key.write_bytes(renewed.key_file.read_bytes())
        look(router)
        assert shown(router, context) == renewed.fingerprint
        assert "tls" not in router.health.warnings()


def test_an_authority_that_is_taken_away_vouches_for_nobody_who_comes_next(site: Hospital) -> None:
    context = trusted(site, site.scanner())
    with site.router() as router:
        assert router.secured is not None
        going_on = associate(router.secured, "CT1", context)
        site.authority.file.write_bytes(Authority(site.folder / "other").file.read_bytes())
        look(router)
        assert not echoes(router.secured, "CT1", context)
        assert going_on.send_c_echo().Status == 0x0000
        going_on.release()


def test_a_peer_that_is_taken_away_keeps_its_association_and_gets_no_other(site: Hospital) -> None:
    context = trusted(site, site.scanner())
    with site.router() as router:
        assert router.secured is not None
        going_on = associate(router.secured, "CT1", context)
        site.write_peers(known("MR1", 'common_name = "mr1.example"'))
        look(router)
        assert rejection(router.secured, "CT1", context) == NOT_RECOGNIZED
        assert echoes(router.secured, "MR1", trusted(site, site.scanner("mr1.example")))
        assert going_on.send_c_echo().Status == 0x0000
        going_on.release()


def test_a_broken_file_keeps_the_old_one_and_says_so_until_it_is_mended(site: Hospital) -> None:
    context = trusted(site, site.scanner())
    before = files_read("peers", "refused")
    with captured() as log, site.router() as router:
        assert router.secured is not None
        site.peers.write_text('[[peer]]\nae_title = "CT1"\naddresses = ["10.20.3.300"]\n', encoding="utf-8")
        look(router)
        look(router)

        assert echoes(router.secured, "CT1", context)
        assert f"{site.peers}:3:" in router.health.warnings()["peers"]
        assert router.health.failing() == {}
        assert files_read("peers", "refused") == before + 1
        (line,) = [line for line in lines(log) if line["event"] == "files_cannot_be_used"]
        assert (line["level"], line["kept"]) == ("error", "what was read before")

        site.write_peers(known("CT1", 'common_name = "ct1.example"'))
        look(router)
        assert "peers" not in router.health.warnings()


def test_a_file_that_is_gone_is_a_broken_one(site: Hospital) -> None:
    with site.router() as router:
        assert router.secured is not None
        site.peers.unlink()
        look(router)
        assert "cannot be read" in router.health.warnings()["peers"]
        assert echoes(router.secured, "CT1", trusted(site, site.scanner()))


def test_a_file_that_is_still_being_written_is_left_alone(site: Hospital) -> None:
    with site.router() as router:
        for more in range(5):
            site.peers.write_text("[[peer" + " " * more, encoding="utf-8")
            router.trust.look()
        assert router.health.warnings() == {}


def test_a_lane_of_the_peers_file_holds_from_the_next_instance_on(site: Hospital) -> None:
    with site.router(lanes={"CT1": "bulk"}) as router:
        assert router.secured is not None
        association = associate(router.secured, "CT1", trusted(site, site.scanner()))
        association.send_c_store(Ct(instance="1.2.1").dataset())
        site.write_peers(known("CT1", 'common_name = "ct1.example"', 'lane = "stat"'))
        look(router)
        association.send_c_store(Ct(instance="1.2.2").dataset())
        association.release()
        (first,) = router.received("imaging.instance.received.bulk")
        (second,) = router.received("imaging.instance.received.stat")
        assert (first.meta.lane, second.meta.lane) == ("bulk", "stat")
        assert first.provenance.config_digest != second.provenance.config_digest


def test_what_ends_soon_is_in_the_metric_and_among_the_warnings(site: Hospital) -> None:
    today = datetime.now(UTC)
    until = today + timedelta(days=9)
    plain = f'plain = {{ address = "127.0.0.1", until = {until:%Y-%m-%d} }}'
    site.write_peers(known("CT1", 'common_name = "ct1.example"'), known("OLD1", plain))
    with site.router() as router:
        assert router.secured is not None
        assert echoes(router.secured, "CT1", trusted(site, site.scanner(days=(-1, 20))))
        look(router)
        assert 9 <= days_left("exception") <= 10
        assert 19 <= days_left("peer_certificate") <= 20
        assert 364 <= days_left("certificate") <= 365
        assert days_left("ca") > 3000
        said = router.health.warnings()["ends"].split("; ")
        assert said == [
            f"the exception from TLS of OLD1 ends on {until:%Y-%m-%d}, in 9 days",
            f"the certificate of CT1 ends on {today + timedelta(days=20):%Y-%m-%d}, in 19 days",
        ]
        assert router.health.failing() == {}

        router.clock.ahead_s = timedelta(days=400).total_seconds()
        look(router)
        assert days_left("certificate") < 0
        assert "the certificate in [router.tls] ended on" in router.health.warnings()["ends"]
