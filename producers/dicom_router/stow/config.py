"""What can be set in [router.stow]. Without the section, nothing listens."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta

from streams import peer_share
from streams.config import Section
from streams.networks import networks_of
from streams.peers.exceptions import Excepted, check_who_comes, exception
from streams.peers.peer import Plain
from streams.titles import AeTitle

_INSTEAD: Final = "behind a proxy on this machine that has TLS and a sign-in (docs/hospitals.md)"


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
    plain: tuple[Excepted, ...] = ()
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
    def exceptions(self) -> tuple[Plain, ...]:
        return tuple(exception(one) for one in self.plain)

    def _check_who_may_send(self) -> None:
        """Raises ValueError, as what it calls, which says what is wrong with an address or an exception."""
        check_who_comes(self.host, networks_of(self.addresses), self.exceptions, _INSTEAD)
