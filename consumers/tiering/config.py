"""What can be set: section [tiering]. The policy is a file of its own (policy.toml)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from streams.config import Service


class Settings(Service, frozen=True, kw_only=True):
    """`policy` is a file, else the packaged one. Every `sweep_s` each study is looked at by the clock. `threads` copy
    and read back objects, of `studies_at_once` studies. `checkpoint_every` counts records of one partition number.
    """

    policy: Path | None = None
    sweep_s: Annotated[float, Meta(gt=0)] = 60.0
    threads: Annotated[int, Meta(ge=1, le=64)] = 8
    studies_at_once: Annotated[int, Meta(ge=1, le=64)] = 16
    checkpoint_every: Annotated[int, Meta(ge=1)] = 20_000
