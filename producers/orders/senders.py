"""Who may send orders: MLLP has no titles, so they are addresses, and whose certificate it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from streams.networks import Address, Network, is_in
from streams.peers.peer import Plain, Why
from streams.tls.certificate import Certificate

SENTENCES: Final = {
    Why.ADDRESS: "[orders] addresses and plain do not have its address",
    Why.CERTIFICATE: "common_names and fingerprints of [orders.tls] do not have its certificate, or that has ended",
    Why.PLAIN: "it came without TLS from another machine, and [orders] plain has no exception for its address",
    Why.EXCEPTION_ENDED: "it came without TLS, and the exception for that in [orders] plain has ended",
    Why.LIMIT: "there are as many connections as there may be, of all or of its address",
}


@dataclass(frozen=True)
class Senders:
    """As [orders] names them. `networks` are for who comes by TLS; of them this machine may come without."""

    networks: tuple[Network, ...]
    exceptions: tuple[Plain, ...] = ()
    common_names: frozenset[str] = frozenset()
    fingerprints: frozenset[str] = frozenset()

    def refused(self, address: Address, now: datetime) -> Why | None:
        """Why it may not come without TLS, or nothing."""
        untils = [one.until for one in self.exceptions if one.address == address]
        if any(now.date() <= until for until in untils):
            return None
        known = is_in(address, self.networks)
        if known and address.is_loopback:
            return None
        if untils:
            return Why.EXCEPTION_ENDED
        return Why.PLAIN if known else Why.ADDRESS

    def refused_by_tls(self, address: Address, certificate: Certificate | None, now: datetime) -> Why | None:
        """Why it may not come by TLS, or nothing. `certificate` is None where it is still to be shown."""
        if not is_in(address, self.networks):
            return Why.ADDRESS
        return None if certificate is None or self._knows(certificate, now) else Why.CERTIFICATE

    def _knows(self, certificate: Certificate, now: datetime) -> bool:
        named = certificate.fingerprint in self.fingerprints or certificate.common_name in self.common_names
        return named and now <= certificate.ends_at
