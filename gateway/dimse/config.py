"""What can be set in [retrieve]."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from streams import peer_share
from streams.dimse.config import Listening
from streams.dimse.stored import Limits


class Settings(Listening, frozen=True, kw_only=True):
    """Times are in seconds, sizes in bytes. `dsn` is the catalog's, of an account that may read it.

    Objects on their way take `memory_bytes_max` together; one that is larger goes alone. Those above 64 MiB that are
    sent as they are stored take disk instead ([store] objects_folder). `limits` as in [forward].
    """

    dsn: str
    # More matches than anybody looks at: the rest is refused, and said to be (0xA700). A series may have thousands.
    matches_max: Annotated[int, Meta(ge=1)] = 10_000
    # A query that looks for longer is refused in the same way.
    query_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    # Of one C-MOVE or C-GET.
    instances_max: Annotated[int, Meta(ge=1)] = 100_000
    # C-MOVE and C-GET under way: of all peers, and of one address (of IPv6, one /64).
    retrieves_max: Annotated[int, Meta(ge=1)] = 16
    retrieves_per_peer_max: Annotated[int, Meta(ge=1)] | None = None
    # A receiver that is silent for so long loses its association, and what is left has failed.
    answer_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    memory_bytes_max: Annotated[int, Meta(ge=1 << 20)] = 2 << 30
    catalog_connections_max: Annotated[int, Meta(ge=1)] = 8
    limits: Limits = Limits()

    @property
    def retrieves_of_one_address_max(self) -> int:
        return peer_share.of_one_address(self.retrieves_max, self.retrieves_per_peer_max, default=4)

    def __post_init__(self) -> None:
        super().__post_init__()
        peer_share.check("retrieves", self.retrieves_max, self.retrieves_per_peer_max)
