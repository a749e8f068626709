"""What can be set in [router.spool]."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from streams.config import Section

Acknowledge = Literal["replicated", "spool"]


class Settings(Section, frozen=True, kw_only=True):
    """`acknowledge` is when a sender is told 0x0000, and `acknowledge_of` the same for a calling AE title.

    'replicated': the object is fsynced in the store and its event acknowledged; only while store or log are away, the
    spool's fsync is enough. 'spool': the spool's fsync is enough always, a promise of one node's disk.

    `no_spool`: while store or log are away, senders are told 0xA700 at once, and nothing goes to the spool.
    """

    # Without a folder there is no spool. It holds patient data: on an encrypted disk, best not the store's.
    folder: Path | None = None
    acknowledge: Acknowledge = "replicated"
    acknowledge_of: Mapping[str, Acknowledge] = msgspec.field(default_factory=dict)
    no_spool: bool = False
    budget_bytes: Annotated[int, Meta(ge=1 << 20)] = 20 << 30
    # What the spool leaves of its disk to others.
    free_bytes_min: Annotated[int, Meta(ge=0)] = 1 << 30
    segment_bytes: Annotated[int, Meta(ge=1 << 16)] = 64 << 20
    # How long a sender waits for store and log before its object goes to the spool.
    patience_s: Annotated[float, Meta(gt=0)] = 5.0

    def __post_init__(self) -> None:
        chosen = {self.acknowledge, *self.acknowledge_of.values()}
        if "spool" in chosen and not self.takes_over:
            raise ValueError("acknowledge = 'spool' needs a spool: set folder, and no no_spool")

    @property
    def takes_over(self) -> bool:
        """Whether there is a spool for what store or log do not take."""
        return self.folder is not None and not self.no_spool

    def acknowledges(self, calling_ae: str) -> Acknowledge:
        return self.acknowledge_of.get(calling_ae, self.acknowledge)
