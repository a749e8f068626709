"""The registry's ids of the packaged schemas, kept in a file: `{"imaging.instance.received": {"1": 7}}`.

Written by `radstream up` when it registers the schemas, read by every service, so that none needs the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from streams.config import ConfigError
from streams.wire import SchemaIds


def write_ids(path: Path, ids: Mapping[tuple[str, int], int]) -> None:
    """Replaces the file at once: a reader sees the old one or the new one."""
    named: dict[str, dict[str, int]] = {}
    for (subject, version), number in sorted(ids.items()):
        named.setdefault(subject, {})[str(version)] = number
    written = path.with_suffix(".new")
    written.write_bytes(msgspec.json.format(msgspec.json.encode(named)) + b"\n")
    written.replace(path)


def read_ids(path: Path) -> SchemaIds:
    """Raises ConfigError where the file is absent or not what `write_ids` writes."""
    try:
        named = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[int, int]])
    except OSError as error:
        raise ConfigError(
            f"{path}: the registry's schema ids cannot be read ({type(error).__name__}); `radstream up` writes them"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ConfigError(f"{path}: not a file of schema ids; `radstream up` writes it anew") from None
    return SchemaIds({(subject, version): number for subject, of in named.items() for version, number in of.items()})
