"""Who may come in by each door: peers files, senders of orders, our side of TLS, and what of them ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gateway.dimse.config import Settings as Retrieve
from producers.dicom_router.config import Settings as Router
from producers.dicom_router.trust.ends import ends_of_stow
from producers.orders import door
from producers.orders.config import Settings as Orders
from producers.worklist.config import Settings as Worklist
from radstream.checks import ends
from radstream.checks.check import Check, broken, note, well
from streams.config import Config, ConfigError
from streams.dimse.config import Listening
from streams.networks import address_of, is_in
from streams.peers.ends import ends_of_exceptions
from streams.peers.peer import Peers
from streams.peers.reading import read_peers
from streams.tls.ends import End, ends_of_ours
from streams.tls.files import Files
from streams.tls.ours import as_server

_HERE = address_of("127.0.0.1")
_LISTENING: dict[str, type[Listening]] = {"worklist": Worklist, "retrieve": Retrieve}


def doors(config: Config) -> dict[str, Callable[[], Iterator[Check]]]:
    """The check of each door that the configuration has, by section. Each raises ConfigError for a section that cannot
    be used.
    """
    found: dict[str, Callable[[], Iterator[Check]]] = {
        "router": lambda: check_router(config.section("router", Router)),
        "worklist": lambda: _check_listening(config, "worklist"),
        "retrieve": lambda: _check_listening(config, "retrieve"),
        door.SECTION: lambda: check_orders(config.section(door.SECTION, Orders)),
    }
    return {section: check for section, check in found.items() if section in config.names}


def check_router(settings: Router) -> Iterator[Check]:
    yield from _by_peers("router", settings.host, settings.peers, settings.tls, ends_of_stow(settings.stow))


def _check_listening(config: Config, section: str) -> Iterator[Check]:
    settings = config.section(section, _LISTENING[section])
    yield from _by_peers(section, settings.host, settings.peers, settings.tls, ())


def check_orders(settings: Orders) -> Iterator[Check]:
    senders = settings.senders
    by_tls = len(senders.common_names) + len(senders.fingerprints)
    here = ", and who is on this machine" if is_in(_HERE, senders.networks) else ""
    found = f"{by_tls} may send by certificate, {len(senders.exceptions)} by an exception from TLS{here}."
    yield well(door.SECTION, "senders", found)
    yield from _ours(door.SECTION, settings.tls, list(door.ends_of(senders)))


def _by_peers(part: str, host: str, file: Path | None, tls: Files | None, more: Iterable[End]) -> Iterator[Check]:
    """Of a door with a peers file, or without one; `more` is what ends beside it."""
    ending = list(more)
    if file is None:
        yield well(part, "peers", f"No peers file: anybody on this machine may come, nobody else ({host}).")
    else:
        try:
            peers = read_peers(file)
        except ConfigError as error:
            mend = f"Mend it, then: radstream peers check {file}. A service that runs keeps what it read before."
            yield broken(part, "peers", f"{error}.", mend)
        else:
            yield _peers(part, peers, tls)
            ending += ends_of_exceptions(peers)
    yield from _ours(part, tls, ending)


def _peers(part: str, peers: Peers, tls: Files | None) -> Check:
    by_certificate = sum(peer.has_certificate for peer in peers.by_title.values())
    if by_certificate and tls is None:
        found = f"{by_certificate} peers are known by a certificate, and there is no port for TLS."
        return note(part, "peers", found, f"Add [{part}.tls] (docs/hospitals.md).")
    return well(part, "peers", f"{len(peers.by_title)} may come, {by_certificate} of them by certificate.")


def _ours(part: str, tls: Files | None, ending: list[End]) -> Iterator[Check]:
    """Our side of TLS, and what ends of it and of who comes."""
    section = f"{part}.tls"
    if tls is not None:
        try:
            ending += ends_of_ours(as_server(tls, section).ends_at.items(), section)
        except ConfigError as error:
            yield broken(part, "TLS", f"{error}.", "Mend it; a service that runs keeps what it read before.")
        else:
            yield well(part, "TLS", "Certificate, key and authorities can be used, and belong together.")
    yield from ends.check(ending, part, section)
