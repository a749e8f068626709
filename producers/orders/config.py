"""What can be set in [orders]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from producers.orders.order import Priority
from streams.config import Service
from streams.networks import networks_of
from streams.tls.certificate import Certificate, fingerprint_of
from streams.tls.files import Port


class Tls(Port, frozen=True, kw_only=True):
    """MLLP over TLS, mutual (IHE ITI TF-2 section 3.19), on an address and port of its own.

    Orders come from whom `common_names` or `fingerprints` (SHA-256) name among those whose certificate leads to `ca`.
    """

    host: str = "127.0.0.1"
    common_names: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.common_names and not self.fingerprints:
            raise ValueError("nothing says whose certificate may send orders: give common_names or fingerprints")
        for text in self.fingerprints:
            fingerprint_of(text)  # Its ValueError says how to get one.
        if "" in self.common_names:
            raise ValueError("an empty common name is nobody's")

    def knows(self, certificate: Certificate) -> bool:
        known = {fingerprint_of(text) for text in self.fingerprints}
        return certificate.fingerprint in known or certificate.common_name in self.common_names


class Settings(Service, frozen=True, kw_only=True):
    """Times are in seconds. `addresses` are the addresses and networks that may send, with TLS and without.

    MLLP itself knows neither accounts nor encryption: without `addresses` both ports are heard on this machine alone.
    """

    port: Annotated[int, Meta(ge=0, le=65535)]
    host: str = "127.0.0.1"
    tls: Tls | None = None
    addresses: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    # Who issued accession numbers that come without an issuer.
    issuer: Annotated[str, Meta(max_length=64)] = ""
    # AE titles by modality, for orders that name no station: HL7 before OMI has no place for one.
    stations: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    # The RIS's own words beside those of HL7 table 0485.
    priorities: Mapping[str, Priority] = msgspec.field(default_factory=dict)
    connections_max: Annotated[int, Meta(ge=1)] = 32
    connections_per_peer_max: Annotated[int, Meta(ge=1)] = 8
    message_bytes_max: Annotated[int, Meta(ge=1024)] = 1 << 20
    # From the first byte of a message to its last, and for its answer to be taken.
    message_timeout_s: Annotated[float, Meta(gt=0)] = 10.0
    # Between messages: a RIS keeps its connection.
    idle_timeout_s: Annotated[float, Meta(gt=0)] = 3600.0
    commit_timeout_s: Annotated[float, Meta(gt=0)] = 30.0

    def __post_init__(self) -> None:
        networks_of(self.addresses)  # Its ValueError says which is none, and why.
