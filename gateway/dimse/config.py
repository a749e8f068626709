"""What can be set in [retrieve]."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from streams.dimse.config import Listening
from streams.dimse.stored import Limits


class Settings(Listening, frozen=True, kw_only=True):
    """Times are in seconds, sizes in bytes. `dsn` is the catalog's, of an account that may read it.

    Objects on their way take `memory_bytes_max` together; one that is larger goes alone. `limits` as in [forward].
    """

    dsn: str
    # More matches than anybody looks at: the rest is refused, and said to be (0xA700). A series may have thousands.
    matches_max: Annotated[int, Meta(ge=1)] = 10_000
    # A query that looks for longer is refused in the same way.
    query_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    # Of one C-MOVE or C-GET.
    instances_max: Annotated[int, Meta(ge=1)] = 100_000
    # C-MOVE and C-GET under way: of all peers, and of one address.
    retrieves_max: Annotated[int, Meta(ge=1)] = 16
    retrieves_per_peer_max: Annotated[int, Meta(ge=1)] = 4
    # A receiver that is silent for so long loses its association, and what is left has failed.
    answer_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    memory_bytes_max: Annotated[int, Meta(ge=1 << 20)] = 2 << 30
    catalog_connections_max: Annotated[int, Meta(ge=1)] = 8
    limits: Limits = Limits()
