"""What can be set in [orders]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from producers.orders.order import Priority
from producers.orders.senders import Senders
from streams import peer_share
from streams.config import Service
from streams.networks import networks_of
from streams.peers.exceptions import Excepted, check_who_comes, exception
from streams.tls.certificate import fingerprint_of
from streams.tls.files import Port

_INSTEAD: Final = "and give other machines a port for TLS in [orders.tls] (docs/results.md)"


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


class Settings(Service, frozen=True, kw_only=True):
    """Times are in seconds. `addresses` are the addresses and networks that may send by TLS; this machine may without.

    MLLP itself knows neither accounts nor encryption: of other machines only those of `plain` may send without TLS.
    """

    port: Annotated[int, Meta(ge=0, le=65535)]
    host: str = "127.0.0.1"
    tls: Tls | None = None
    addresses: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    plain: tuple[Excepted, ...] = ()
    # Who issued accession numbers that come without an issuer.
    issuer: Annotated[str, Meta(max_length=64)] = ""
    # AE titles by modality, for orders that name no station: HL7 before OMI has no place for one. A step that has none
    # is of any that asks.
    stations: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    # The RIS's own words beside those of HL7 table 0485.
    priorities: Mapping[str, Priority] = msgspec.field(default_factory=dict)
    connections_max: Annotated[int, Meta(ge=1)] = 32
    # Of one address (of IPv6, one /64): the rest is room for the others.
    connections_per_peer_max: Annotated[int, Meta(ge=1)] | None = None
    message_bytes_max: Annotated[int, Meta(ge=1024)] = 1 << 20
    # From the first byte of a message to its last, and for its answer to be taken.
    message_timeout_s: Annotated[float, Meta(gt=0)] = 10.0
    # Between messages: a RIS keeps its connection.
    idle_timeout_s: Annotated[float, Meta(gt=0)] = 3600.0
    commit_timeout_s: Annotated[float, Meta(gt=0)] = 30.0

    @property
    def of_one_address_max(self) -> int:
        return peer_share.of_one_address(self.connections_max, self.connections_per_peer_max, default=8)

    def __post_init__(self) -> None:
        super().__post_init__()
        peer_share.check("connections", self.connections_max, self.connections_per_peer_max)
        senders = self.senders  # Its ValueError says which is none, and why.
        check_who_comes(self.host, senders.networks if self.tls is None else (), senders.exceptions, _INSTEAD)

    @property
    def senders(self) -> Senders:
        tls = self.tls
        return Senders(
            networks=networks_of(self.addresses),
            exceptions=tuple(exception(one) for one in self.plain),
            common_names=frozenset(tls.common_names if tls else ()),
            fingerprints=frozenset(fingerprint_of(text) for text in (tls.fingerprints if tls else ())),
        )
