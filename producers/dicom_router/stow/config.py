"""What can be set in [router.stow]. Without the section, nothing listens."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from msgspec import Meta

from producers.dicom_router import peer_share
from streams.config import Section
from streams.networks import is_loopback, networks_of
from streams.peers import peer
from streams.peers.exceptions import exception
from streams.titles import AeTitle

_OR: Final = (
    "or name each machine that has to come without, in an exception with an end date, "
    "plain = [{ address = ..., until = ... }]"
)


class Plain(Section, frozen=True, kw_only=True):
    """An exception, as in the peers file: this address may send without TLS until the end of a day (UTC)."""

    address: str
    until: date


class Settings(Section, frozen=True, kw_only=True):
    """Times are in seconds. A peer is an address: `requests_per_peer_max` of them leave room for the others
    (`of_one_address_max`).

    HTTP knows no AE titles: `calling_ae` is what [router] lanes and the events call whoever sends here. Nor is there a
    sign-in yet, nor TLS: `addresses` are those of this machine that may send, as a proxy does that has both; of other
    machines only those of `plain` may.
    """

    port: Annotated[int, Meta(ge=0, le=65535)]
    host: str = "127.0.0.1"
    addresses: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    plain: tuple[Plain, ...] = ()
    calling_ae: AeTitle = "STOW-RS"
    # Each holds one object, in the room that associations have for theirs, and some 2 MB.
    requests_max: Annotated[int, Meta(ge=1)] = 16
    requests_per_peer_max: Annotated[int, Meta(ge=1)] | None = None
    # A sender that is silent for so long in the middle of a request is given up.
    idle_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    # However busy, a request is answered after this with what was kept until then.
    request_timeout_s: Annotated[float, Meta(gt=0)] = 3600.0

    @property
    def of_one_address_max(self) -> int:
        return peer_share.of_one_address(self.requests_max, self.requests_per_peer_max, default=12)

    def __post_init__(self) -> None:
        peer_share.check("requests", self.requests_max, self.requests_per_peer_max)
        self._check_who_may_send()

    @property
    def exceptions(self) -> tuple[peer.Plain, ...]:
        return tuple(exception(one.address, one.until) for one in self.plain)

    def _check_who_may_send(self) -> None:
        """Raises ValueError, as what it calls, which says what is wrong with an address or an exception."""
        networks, exceptions = networks_of(self.addresses), self.exceptions
        if is_loopback(self.host):
            return
        if not exceptions:
            raise ValueError(
                f"host {self.host} lets other machines in, and there is no TLS here: listen on this machine alone, "
                f'host = "127.0.0.1", behind a proxy on it that has TLS and a sign-in (docs/hospitals.md); {_OR}'
            )
        if others := [str(network) for network in networks if not network.is_loopback]:
            raise ValueError(
                f"addresses has {', '.join(others)}, of other machines, and there is no TLS here: take it away; {_OR}"
            )
