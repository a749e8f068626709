"""Text as PostgreSQL can hold it: without NUL and lone surrogates, which senders do write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def document(rows: Any) -> str:
    """JSON text of rows that PostgreSQL takes. What its text cannot hold becomes U+FFFD."""
    try:
        encoded = msgspec.json.encode(rows)
    except UnicodeEncodeError:
        encoded = msgspec.json.encode(clean(msgspec.to_builtins(rows)))
    if b"\\u0000" in encoded:
        encoded = msgspec.json.encode(clean(msgspec.json.decode(encoded)))
    return encoded.decode()


def clean(value: Any) -> Any:
    """The same value with NUL and lone surrogates as U+FFFD, keys included."""
    if isinstance(value, str):
        return value.replace("\0", _REPLACEMENT).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {clean(name): clean(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value
