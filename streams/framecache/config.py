"""What can be set: section [frame_cache]. Without it every picture is rendered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from streams.config import Section


class FrameCacheSettings(Section, frozen=True, kw_only=True):
    """`folder` holds at most `folder_bytes_max` bytes, the pictures that were asked for last.

    `redis_url` (redis://, rediss://, unix://) names a Redis whose own `maxmemory` and `maxmemory-policy allkeys-lru`
    bound it; pictures that nobody asks for leave it after `redis_ttl_s` seconds.
    """

    folder: Path | None = None
    folder_bytes_max: Annotated[int, msgspec.Meta(ge=1 << 20)] = 2 << 30
    redis_url: str | None = None
    redis_ttl_s: Annotated[int, msgspec.Meta(ge=1)] = 7 * 24 * 3600

    def __repr__(self) -> str:
        # A URL may hold a password: a traceback or a log must not show it.
        return f"FrameCacheSettings(folder={self.folder!r}, folder_bytes_max={self.folder_bytes_max!r})"
