"""What can be set: section [chains]."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from streams.config import Service
from streams.emitting import CHECKPOINT_EVERY


class Settings(Service, frozen=True, kw_only=True):
    """`quiet_s` seconds without a new instance make links of what came. Every `sign_every_s` what is new is signed with
    `key_file`; `public_file` is what `radstream verify` believes. `checkpoint_every` counts records of one partition.
    """

    key_file: Path
    public_file: Path | None = None
    quiet_s: Annotated[float, Meta(gt=0)] = 10.0
    sign_every_s: Annotated[float, Meta(gt=0)] = 30.0
    checkpoint_every: Annotated[int, Meta(ge=1)] = CHECKPOINT_EVERY
