"""What ends: certificates, revocation lists, exceptions from TLS. To be seen before a scanner stops at midnight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final

from producers.dicom_router.trust.peer import Peers

# From here on a person is told.
SOON: Final = timedelta(days=30)
_OURS: Final = {
    "certificate": "the certificate of this router",
    "ca": "a root or authority in [router.tls] ca",
    "crl": "the revocation list",
}


@dataclass(frozen=True)
class End:
    """`what` is certificate, ca, crl, peer_certificate or exception; `whose` is how a sentence begins."""

    what: str
    whose: str
    at: datetime

    def days_left(self, now: datetime) -> float:
        return (self.at - now) / timedelta(days=1)

    def sentence(self, now: datetime) -> str:
        left = self.at - now
        if left <= timedelta(0):
            return f"{self.whose} ended on {self.at:%Y-%m-%d}"
        return f"{self.whose} ends on {self.at:%Y-%m-%d}, in {left.days} days"


def ends_of_ours(ends_at: Mapping[str, datetime]) -> Iterator[End]:
    return (End(what, _OURS[what], at) for what, at in ends_at.items())


def ends_of_exceptions(peers: Peers) -> Iterator[End]:
    """An exception ends with its day."""
    for peer in peers.by_title.values():
        if peer.plain is not None:
            at = datetime.combine(peer.plain.until, time.max, UTC)
            yield End("exception", f"the exception from TLS of {peer.ae_title}", at)


def ends_of_peers(seen: Mapping[str, datetime]) -> Iterator[End]:
    """Of the certificates that came, by AE title."""
    return (End("peer_certificate", f"the certificate of {title}", at) for title, at in seen.items())


def first_of_each(ends: Iterable[End], now: datetime) -> Mapping[tuple[str], float]:
    """Days left, by what ends."""
    found: dict[tuple[str], float] = {}
    for end in ends:
        found[(end.what,)] = min(end.days_left(now), found.get((end.what,), float("inf")))
    return found
