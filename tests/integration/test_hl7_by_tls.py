"""Orders over MLLP and TLS: from whom the configuration names, by certificates of both sides."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from producers.orders.config import Tls
from tests.certificates import Authority, client_context
from tests.hl7_messages import OMI
from tests.listeners import Running, running_listener
from tests.waiting import wait_until


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def listener(authority: Authority) -> Iterator[Running]:
    ours = authority.issue("orders.example")
    tls = Tls(
        port=0,
        certificate=ours.certificate_file,
        key=ours.key_file,
        ca=authority.file,
        common_names=("ris.example",),
    )
    with running_listener(tls=tls) as running:
        yield running


def code(listener: Running, context: ssl.SSLContext | None) -> str:
    """Of the acknowledgement; empty where there was none."""
    try:
        with listener.connection(context) as ris:
            answer = ris.send(OMI)
    except (OSError, ssl.SSLError):
        return ""
    return answer[1].split("|")[1] if answer else ""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_order_is_taken_from_the_ris_that_is_named(
    authority: Authority, listener: Running, version: ssl.TLSVersion
) -> None:
    context = client_context(authority.file, authority.issue("ris.example"))
    context.maximum_version = context.minimum_version = version
    assert code(listener, context) == "AA"
    assert len(listener.commands()) == 1


def test_nobody_else_s_order_is_taken(authority: Authority, listener: Running, tmp_path: Path) -> None:
    others = Authority(tmp_path / "others", "Other CA")
    for identity in (
        authority.issue("console.example"),
        authority.issue("ris.example", days=(-9, -1)),
        others.issue("ris.example"),
        None,
    ):
        assert code(listener, client_context(authority.file, identity)) == ""
    assert listener.commands() == []
    reasons = ("certificate", "certificate_expired", "certificate_untrusted", "no_certificate")
    refused = sorted(("tls.refused", "127.0.0.1", why) for why in reasons)
    wait_until(lambda: sorted(listener.audited()) == refused, "the audit")
    # The port without TLS goes on beside it.
    assert code(listener, None) == "AA"


def test_a_sender_has_to_be_named(authority: Authority) -> None:
    ours = authority.issue("orders.example")
    with pytest.raises(ValueError, match="common_names or fingerprints"):
        Tls(port=0, certificate=ours.certificate_file, key=ours.key_file, ca=authority.file)
