"""What can be set in [router.stow]. Without the section, nothing listens."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from producers.dicom_router import peer_share
from streams.config import Section
from streams.networks import networks_of
from streams.titles import AeTitle


class Settings(Section, frozen=True, kw_only=True):
    """Times are in seconds. A peer is an address: `requests_per_peer_max` of them leave room for the others
    (`of_one_address_max`).

    HTTP knows no AE titles: `calling_ae` is what [router] lanes and the events call whoever sends here. Nor is there a
    sign-in yet: `addresses` are the addresses and networks that may send, else those of this machine alone.
    """

    port: Annotated[int, Meta(ge=0, le=65535)]
    host: str = "127.0.0.1"
    addresses: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
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
        networks_of(self.addresses)  # Its ValueError says which is none, and why.
