"""Who may send to the router: its peers file, its side of TLS, and what of them ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from producers.dicom_router.config import Settings
from producers.dicom_router.trust.ends import SOON, End, ends_of_exceptions, ends_of_ours
from producers.dicom_router.trust.ours import read_ours
from producers.dicom_router.trust.peer import Peers
from producers.dicom_router.trust.reading import read_peers
from radstream.checks.check import Check, broken, note, well
from streams.config import ConfigError

PART = "router"
_RENEW = {
    "certificate": "Write a new one where [router.tls] certificate and key are; the router reads it by itself.",
    "ca": "Add the new authority to [router.tls] ca, before the old one ends.",
    "crl": "Write a new list where [router.tls] crl is: without one, no certificate is accepted.",
    "exception": "Give it TLS and a certificate, or another end date, and take away what has ended.",
}


def check(settings: Settings, folder: Path) -> Iterator[Check]:
    """`folder` is that of the configuration file."""
    settings = settings.beside(folder)
    if settings.peers is None:
        yield well(PART, "peers", f"No peers file: anybody on this machine may send, nobody else ({settings.host}).")
        return
    ends: list[End] = []
    try:
        peers = read_peers(settings.peers)
    except ConfigError as error:
        mend = f"Mend it, then: radstream peers check {settings.peers}. A router that runs keeps what it read before."
        yield broken(PART, "peers", f"{error}.", mend)
    else:
        yield _peers(peers, settings)
        ends += ends_of_exceptions(peers)
    if settings.tls is not None:
        try:
            ends += ends_of_ours(read_ours(settings.tls).ends_at)
        except ConfigError as error:
            yield broken(PART, "TLS", f"{error}.", "Mend it; a router that runs keeps what it read before.")
        else:
            yield well(PART, "TLS", "Certificate, key and authorities can be used, and belong together.")
    yield from _ends(ends)


def _peers(peers: Peers, settings: Settings) -> Check:
    by_certificate = sum(peer.has_certificate for peer in peers.by_title.values())
    if by_certificate and settings.tls is None:
        return note(
            PART,
            "peers",
            f"{by_certificate} peers are known by a certificate, and there is no port for TLS.",
            "Add [router.tls] (docs/hospitals.md).",
        )
    return well(PART, "peers", f"{len(peers.by_title)} may send, {by_certificate} of them by certificate.")


def _ends(ends: Iterable[End]) -> Iterator[Check]:
    now = datetime.now(UTC)
    for end in sorted(ends, key=lambda one: one.at):
        sentence = end.sentence(now)
        found = f"{sentence[0].upper()}{sentence[1:]}."
        if end.at <= now and end.what != "exception":
            yield broken(PART, "ends", found, _RENEW[end.what])
        elif end.at - now < SOON:
            yield note(PART, "ends", found, _RENEW[end.what])
