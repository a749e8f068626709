"""What ends of peers: exceptions from TLS, and the certificates that they show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, time

from streams.peers.peer import Peers
from streams.tls.ends import End


def ends_of_exceptions(peers: Peers) -> Iterator[End]:
    """An exception ends with its day."""
    for peer in peers.by_title.values():
        if peer.plain is not None:
            at = datetime.combine(peer.plain.until, time.max, UTC)
            yield End("exception", f"the exception from TLS of {peer.ae_title}", at)


def ends_of_peers(seen: Mapping[str, datetime]) -> Iterator[End]:
    """Of the certificates that came, by AE title."""
    return (End("peer_certificate", f"the certificate of {title}", at) for title, at in seen.items())
