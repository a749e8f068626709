"""Who may send to the router: its peers file, its side of TLS, and what of them ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from producers.dicom_router.config import Settings
from producers.dicom_router.trust.current import SECTION
from producers.dicom_router.trust.ends import ends_of_exceptions, ends_of_stow
from radstream.checks.check import Check, broken, note, well
from streams import nodes
from streams.config import Config, ConfigError
from streams.peers.peer import Peers
from streams.peers.reading import read_peers
from streams.routes.section import destinations_of
from streams.tls.clients import SECTION as CLIENTS
from streams.tls.clients import Clients
from streams.tls.ends import SOON, End, ends_of_ours
from streams.tls.ours import as_server

PART, NODES = "router", "nodes"
_RENEW = {
    "certificate": "Write a new one where [router.tls] certificate and key are; the router reads it by itself.",
    "ca": "Add the new authority to [router.tls] ca, before the old one ends.",
    "crl": "Write a new list where [router.tls] crl is: without one, no certificate is accepted.",
    "exception": "Give it TLS and a certificate, or another end date, and take away what has ended.",
}
_RENEW_CLIENTS = {
    "certificate": "Write a new one where [dicom.tls] certificate and key are; it is read without a restart.",
    "ca": "Add the new authority to [dicom.tls] ca, or to the ca of the node, before the old one ends.",
    "crl": "Write a new list where [dicom.tls] crl is: without one, no certificate is accepted.",
}


def check(settings: Settings, folder: Path) -> Iterator[Check]:
    """`folder` is that of the configuration file."""
    settings = settings.beside(folder)
    ends = list(ends_of_stow(settings.stow))
    if settings.peers is None:
        yield well(PART, "peers", f"No peers file: anybody on this machine may send, nobody else ({settings.host}).")
        yield from _ends(ends, PART, _RENEW)
        return
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
            ends += ends_of_ours(as_server(settings.tls, SECTION).ends_at.items(), SECTION)
        except ConfigError as error:
            yield broken(PART, "TLS", f"{error}.", "Mend it; a router that runs keeps what it read before.")
        else:
            yield well(PART, "TLS", "Certificate, key and authorities can be used, and belong together.")
    yield from _ends(ends, PART, _RENEW)


def check_nodes(config: Config) -> Iterator[Check]:
    """Whether nodes that want TLS can be had, out of the file of nodes and the rules; and what of ours ends."""
    clients = Clients(config)
    named = {**nodes.read(nodes.file_of(config)), **destinations_of(config)}
    secured = {name: node for name, node in named.items() if node.tls}
    if not secured:
        return
    wrong = []
    for node in secured.values():
        try:
            clients.of(node)
        except ConfigError as error:
            wrong.append(str(error))
    for text in dict.fromkeys(wrong):
        yield broken(NODES, "TLS", f"{text}.", "Mend it; services that run keep what they read before.")
    if not wrong:
        yield well(NODES, "TLS", f"{len(secured)} nodes by TLS, and what [dicom.tls] names for them can be used.")
    yield from _ends(ends_of_ours(clients.ends(), CLIENTS), NODES, _RENEW_CLIENTS)


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


def _ends(ends: Iterable[End], part: str, renew: Mapping[str, str]) -> Iterator[Check]:
    now = datetime.now(UTC)
    for end in sorted(ends, key=lambda one: one.at):
        sentence = end.sentence(now)
        found = f"{sentence[0].upper()}{sentence[1:]}."
        if end.at <= now and end.what != "exception":
            yield broken(part, "ends", found, renew[end.what])
        elif end.at - now < SOON:
            yield note(part, "ends", found, renew[end.what])
