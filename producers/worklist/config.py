"""What can be set in [worklist]."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from streams.config import Service
from streams.titles import AeTitle


class Settings(Service, frozen=True, kw_only=True):
    """Times are in seconds. `associations_per_peer_max` of one address leave room for the others.

    `dsn` is the catalog's, of an account that may read it. A worklist is names: it is told to the addresses in `peers`
    alone, and where none is named, to all that reach the port, which is on loopback until a site opens it.
    """

    dsn: str
    port: Annotated[int, Meta(ge=0, le=65535)]
    host: str = "127.0.0.1"
    peers: tuple[str, ...] = ()
    ae_title: AeTitle = "RADSTREAM"
    associations_max: Annotated[int, Meta(ge=1)] = 32
    associations_per_peer_max: Annotated[int, Meta(ge=1)] = 8
    # From the connection to the accepted association, and then from the first byte of a PDU to its last.
    set_up_timeout_s: Annotated[float, Meta(gt=0)] = 10.0
    pdu_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    # A peer that is silent for so long loses its association.
    idle_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    # A query or a performed step that is larger is nobody's.
    data_set_bytes_max: Annotated[int, Meta(ge=1 << 16)] = 4 << 20
    # More matches than a scanner's list can show: the rest is refused, and said to be (0xA700).
    matches_max: Annotated[int, Meta(ge=1)] = 1000
    # A step that nobody performed is off the list so many days after its date.
    expires_days: Annotated[int, Meta(ge=0)] = 30
    commit_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    # How long associations may go on after SIGTERM.
    stop_timeout_s: Annotated[float, Meta(ge=0)] = 10.0
