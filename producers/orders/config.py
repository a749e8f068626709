"""What can be set in [orders]."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from producers.orders.order import Priority
from streams.config import Service


class Settings(Service, frozen=True, kw_only=True):
    """Times are in seconds. MLLP knows neither accounts nor encryption: the listener is on loopback until a site opens
    it, and then for the addresses in `peers` alone; none named means all.
    """

    port: Annotated[int, Meta(ge=0, le=65535)]
    host: str = "127.0.0.1"
    peers: tuple[str, ...] = ()
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
