"""The hashes of a chain. They are for ever: a changed function here breaks every chain there is.

Link n of a study is SHA-256 over the link before it, the study, n, and the instance: its UIDs, the hash of its bytes,
the hash of its metadata. A field is its length in four bytes, big-endian, and its bytes, so no two lists are one text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from streams.events import ChainLink

HASH_BYTES = 32
# What comes before the first link, and before the first head.
NOTHING = bytes(HASH_BYTES)
_LINK = b"radstream study chain 1"


def framed(*fields: bytes) -> bytes:
    """Fields as one text that can be read in one way only."""
    return b"".join(len(field).to_bytes(4, "big") + field for field in fields)


def number(value: int) -> bytes:
    """A whole number that is not negative, in eight bytes, big-endian."""
    return value.to_bytes(8, "big")


def link_hash(previous: bytes, tenant: str, study_uid: str, position: int, series_uid: str, link: ChainLink) -> bytes:
    """The hash (32 bytes) of the `position`-th link of a study, counted from 1."""
    metadata = b"" if link.metadata is None else link.metadata
    uids = (study_uid.encode(), number(position), series_uid.encode(), link.sop_instance_uid.encode())
    return hashlib.sha256(framed(_LINK, previous, tenant.encode(), *uids, link.digest, metadata)).digest()


def last_hash(
    previous: bytes, tenant: str, study_uid: str, first: int, series: Sequence[str], links: Sequence[ChainLink]
) -> bytes:
    """The hash after all of `links`, of which the first is the study's link number `first`.

    Raises IndexError where a link names a series that is not there.
    """
    for position, link in enumerate(links, start=first):
        previous = link_hash(previous, tenant, study_uid, position, series[link.series], link)
    return previous
