"""Peers, and whether one that comes is one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from functools import cached_property

from schemas import Lane
from streams.networks import Address, Network, Networks, is_in
from streams.tls.certificate import Certificate


class Why(Enum):
    """Why somebody may not send; the values are for a metric's label."""

    CALLED_AE = "called_ae"
    CALLING_AE = "calling_ae"
    ADDRESS = "address"
    CERTIFICATE = "certificate"
    PLAIN = "plain"
    EXCEPTION_ENDED = "exception_ended"
    LIMIT = "limit"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    Why.CALLED_AE: "the called AE title is not ours (ae_title)",
    Why.CALLING_AE: "no peer in the peers file has this AE title",
    Why.ADDRESS: "the peers file does not have this address for the AE title",
    Why.CERTIFICATE: "the certificate is not the one that the peers file has for the AE title",
    Why.PLAIN: "it came without TLS, and the AE title has no exception for this address",
    Why.EXCEPTION_ENDED: "it came without TLS, and the exception for that has ended",
    Why.LIMIT: "there are as many associations as there may be: of all, of this address, or of this AE title",
}


@dataclass(frozen=True)
class Plain:
    """An exception: DICOM without TLS, from one address, until the end of a day (UTC)."""

    address: Address
    until: date


@dataclass(frozen=True)
class Peer:
    """An application entity that may send.

    It is known by the common name of its certificate's subject, or by one of `fingerprints` (SHA-256, hex). Without
    either it comes from this machine, or has an exception.
    """

    ae_title: str
    addresses: tuple[Network, ...]
    common_name: str | None = None
    fingerprints: frozenset[str] = frozenset()
    plain: Plain | None = None
    associations_max: int | None = None
    lane: Lane | None = None

    @property
    def has_certificate(self) -> bool:
        return self.common_name is not None or bool(self.fingerprints)

    @property
    def is_local(self) -> bool:
        """Whether it comes from this machine alone: the kernel proves that, and nobody listens on the way."""
        return all(network.is_loopback for network in self.addresses)

    @property
    def needs_tls(self) -> bool:
        """Whether it may come by TLS alone, its exception aside."""
        return self.has_certificate or self.plain is not None or not self.is_local

    def has_address(self, address: Address) -> bool:
        return is_in(address, self.addresses)

    def has(self, certificate: Certificate) -> bool:
        if self.common_name is not None:
            return certificate.common_name == self.common_name
        return certificate.fingerprint in self.fingerprints


@dataclass(frozen=True)
class Peers:
    """The peers file as it was read. `by_title` has them by AE title, without padding."""

    by_title: Mapping[str, Peer]

    @cached_property
    def lanes(self) -> Mapping[str, Lane]:
        """Of those peers that have one of their own."""
        return {title: peer.lane for title, peer in self.by_title.items() if peer.lane is not None}

    def expect(self, address: Address, today: date, *, by_tls: bool) -> bool:
        """Whether anybody may come from there, by TLS or without it: else `judge` refuses whoever it says it is."""
        if by_tls:
            return address in self._certified
        return address in self._local or today <= self._excepted.get(address, date.min)

    @cached_property
    def _certified(self) -> Networks:
        return Networks(one for peer in self.by_title.values() if peer.has_certificate for one in peer.addresses)

    @cached_property
    def _local(self) -> Networks:
        return Networks(one for peer in self.by_title.values() if not peer.needs_tls for one in peer.addresses)

    @cached_property
    def _excepted(self) -> Mapping[Address, date]:
        """The last day of the exceptions that an address has."""
        plain = [peer.plain for peer in self.by_title.values() if peer.plain is not None]
        return {one.address: one.until for one in sorted(plain, key=lambda one: one.until)}

    def judge(self, calling_ae: str, address: Address, certificate: Certificate | None, today: date) -> Peer | Why:
        """The peer that it is, or why it may not send. `certificate` is None for one that comes without TLS.

        `calling_ae` is as it was sent: spaces around it do not count, everything else does (PS3.5 section 6.2).
        """
        peer = self.by_title.get(calling_ae.strip(" "))
        if peer is None:
            return Why.CALLING_AE
        if certificate is None:
            return _without_tls(peer, address, today)
        if not peer.has_address(address):
            return Why.ADDRESS
        return peer if peer.has(certificate) else Why.CERTIFICATE


def _without_tls(peer: Peer, address: Address, today: date) -> Peer | Why:
    if not peer.needs_tls:
        return peer if peer.has_address(address) else Why.ADDRESS
    if peer.plain is None or peer.plain.address != address:
        return Why.PLAIN if peer.has_address(address) else Why.ADDRESS
    return peer if today <= peer.plain.until else Why.EXCEPTION_ENDED
