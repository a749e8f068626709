"""What ends of peers: exceptions from TLS, and the certificates that they show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time

from producers.dicom_router.stow.config import Settings as Stow
from streams.peers.peer import Peers, Plain
from streams.tls.ends import End


def ends_of_exceptions(peers: Peers) -> Iterator[End]:
    for peer in peers.by_title.values():
        if peer.plain is not None:
            yield _end(peer.plain, peer.ae_title)


def ends_of_stow(settings: Stow | None) -> Iterator[End]:
    """Of the exceptions in [router.stow]."""
    for plain in settings.exceptions if settings else ():
        yield _end(plain, f"{plain.address} in [router.stow]")


def _end(plain: Plain, whose: str) -> End:
    """An exception ends with its day."""
    return End("exception", f"the exception from TLS of {whose}", datetime.combine(plain.until, time.max, UTC))


def ends_of_peers(seen: Mapping[str, datetime]) -> Iterator[End]:
    """Of the certificates that came, by AE title."""
    return (End("peer_certificate", f"the certificate of {title}", at) for title, at in seen.items())
