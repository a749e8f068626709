"""What can be set: section [windows]."""

from __future__ import annotations

from pathlib import Path

from streams.config import Service


class Settings(Service, frozen=True, kw_only=True):
    """`folder` is the service's own: RocksDB files, which may be deleted while it is stopped."""

    folder: Path
