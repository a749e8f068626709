"""What the key of an object in a store says that it is (`streams.identity`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from streams.identity import OTHERS

_ORIGINAL: Final = re.compile(r"(?:studies/[0-9.]{1,64}/[0-9.]{1,64}/[0-9.]{1,64}|unkeyed)/([0-9a-f]{64})\.dcm")


@dataclass(frozen=True)
class Original:
    """`digest` is the SHA-256 (hex) that the key promises of its bytes."""

    digest: str


@dataclass(frozen=True)
class Other:
    """An object of ours that is no original."""


@dataclass(frozen=True)
class Foreign:
    """A key that nothing of ours makes."""


def kind_of(tenant: str, key: str) -> Original | Other | Foreign:
    """Of a key below the tenant's."""
    below = key.removeprefix(f"{tenant}/")
    if found := _ORIGINAL.fullmatch(below):
        return Original(found[1])
    return Other() if below.partition("/")[0] in OTHERS else Foreign()
