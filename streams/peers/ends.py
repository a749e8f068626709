"""What ends of peers: exceptions from TLS, and the certificates that they show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time

from streams.peers.peer import Peers, Plain
from streams.tls.ends import End


def ends_of_exceptions(peers: Peers) -> Iterator[End]:
    for peer in peers.by_title.values():
        if peer.plain is not None:
            yield end_of(peer.plain, peer.ae_title)


def ends_of_peers(seen: Mapping[str, datetime]) -> Iterator[End]:
    """Of the certificates that came, by whose they are."""
    return (End("peer_certificate", f"the certificate of {whose}", at) for whose, at in seen.items())


def end_of(plain: Plain, whose: str) -> End:
    """An exception ends with its day."""
    return End("exception", f"the exception from TLS of {whose}", datetime.combine(plain.until, time.max, UTC))
