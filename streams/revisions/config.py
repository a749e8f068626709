"""What can be set: section [revisions]."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from streams.config import Service
from streams.emitting import CHECKPOINT_EVERY


class Settings(Service, frozen=True, kw_only=True):
    """`quiet_s` seconds without a new instance make a revision. 10 suits a demonstration; 120 a hospital, where a
    scanner pauses between series. `checkpoint_every` counts decisions of one partition.
    """

    quiet_s: Annotated[float, Meta(gt=0)] = 10.0
    checkpoint_every: Annotated[int, Meta(ge=1)] = CHECKPOINT_EVERY
