"""What can be set for every application entity that listens by `streams.dimse.listening`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from streams import peer_share
from streams.config import Service
from streams.networks import is_loopback
from streams.titles import AeTitle
from streams.tls.files import Port


class Listening(Service, frozen=True, kw_only=True):
    """Times are in seconds. `associations_per_peer_max` of one address (of IPv6, one /64) leave room for the others
    (`of_one_address_max`).

    What it tells is names and images: it tells the peers of the file `peers` alone, which may be the router's
    (`streams.peers.reading`); without one, this machine alone.
    """

    port: Annotated[int, Meta(ge=0, le=65535)]
    host: str = "127.0.0.1"
    peers: Path | None = None
    tls: Port | None = None
    ae_title: AeTitle = "RADSTREAM"
    associations_max: Annotated[int, Meta(ge=1)] = 32
    associations_per_peer_max: Annotated[int, Meta(ge=1)] | None = None
    # From the connection to the accepted association, and then from the first byte of a PDU to its last.
    set_up_timeout_s: Annotated[float, Meta(gt=0)] = 10.0
    pdu_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    # A peer that is silent for so long loses its association.
    idle_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    # A request's data set that is larger is nobody's.
    data_set_bytes_max: Annotated[int, Meta(ge=1 << 16)] = 4 << 20
    # How long associations may go on after SIGTERM.
    stop_timeout_s: Annotated[float, Meta(ge=0)] = 10.0

    @property
    def of_one_address_max(self) -> int:
        return peer_share.of_one_address(self.associations_max, self.associations_per_peer_max, default=8)

    def __post_init__(self) -> None:
        super().__post_init__()
        peer_share.check("associations", self.associations_max, self.associations_per_peer_max)
        if self.peers is None and not is_loopback(self.host):
            raise ValueError(
                f"host {self.host} tells names to other machines, and nothing says to which: name a peers file in "
                "peers, that of [router] for example (docs/hospitals.md); or listen on this machine alone, "
                'host = "127.0.0.1"'
            )
        if self.peers is None and self.tls is not None:
            raise ValueError("tls is there and peers is not: name the file that says whose certificate means whom")
