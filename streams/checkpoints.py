"""Checkpoints of decision steps: the state as an object, with the offset of the output that it covers.

Only a shortcut: the state is always the fold of the whole output, and a checkpoint that cannot be used costs time, not
truth. Objects are never overwritten, so each has the offset in its name, and the newest is found by listing.
"""

from __future__ import annotations

import hashlib
import re
from typing import Protocol, TypeVar

import msgspec
import structlog

from streams.events import ObjectRef
from streams.objects import Absent, Damaged, ObjectStore
from streams.step import NewObject

STORE = "hot"
_BASE64_URL = str.maketrans("+/", "-_")
_NAME = re.compile(r"/([0-9]{20})-([0-9a-f]{64})\Z")


class Checkpoint(msgspec.Struct, frozen=True, array_like=True):
    """`decided` maps an entity to its last number and that decision's offset; `position` is the next offset to fold."""

    position: int
    decided: dict[str, tuple[int, int]]


def prefix(tenant: str, step: str, partition: int, topic_id: str) -> str:
    """Where the checkpoints of one partition lie. A recreated topic has another id, and so none. `v1` is the format."""
    # Ids are Base64 (RFC 4648 section 4), whose slashes would make empty names in a key; section 5 has none.
    return f"{tenant}/checkpoints/{step}/{partition}/{topic_id.translate(_BASE64_URL)}/v1/"


class Covering(Protocol):
    """What can be a checkpoint: a Struct with the next offset of the output to fold."""

    @property
    def position(self) -> int: ...


C = TypeVar("C", bound=Covering)


def save(store: ObjectStore, tenant: str, under: str, checkpoint: Covering) -> None:
    """Raises StoreAway, StoreRefused."""
    data = msgspec.msgpack.encode(checkpoint)
    name = f"{checkpoint.position:020d}-{hashlib.sha256(data).hexdigest()}"
    store.create(NewObject(tenant, STORE, under + name, data))


def newest(store: ObjectStore, tenant: str, under: str, end: int, kind: type[C]) -> C | None:
    """The newest checkpoint that can be read and covers no more than the log holds. Raises StoreAway."""
    for key, size in reversed(list(store.keys(STORE, under))):
        match = _NAME.search(key)
        if match is None or int(match[1]) > end:
            continue
        ref = ObjectRef(tenant=tenant, store=STORE, key=key, length=size, size=size, sha256=match[2])
        try:
            return msgspec.msgpack.decode(store.read(ref), type=kind)
        except (Absent, Damaged, msgspec.DecodeError) as error:
            structlog.get_logger().warning("checkpoint_unusable", key=key, error=error)
    return None
