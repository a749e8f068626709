"""A result as it is kept in the store: whoever is first says what it is, and everybody after says the same.

Two runs of a model may differ in a digit. So the whole of what a request became is created once, under the name of its
event, and read back by whoever comes second; and who finds it there need not compute.
"""

from __future__ import annotations

import msgspec

from consumers.ai.failures import KeptUnreadable
from streams.events import Event, InferenceResult, InstanceReceived
from streams.identity import derived_key
from streams.objects import ObjectStore
from streams.step import NewObject, Stored

STORE = "hot"


class Kept(msgspec.Struct, frozen=True):
    """A result and what is said of the objects that were made of it."""

    result: InferenceResult
    received: tuple[InstanceReceived, ...] = ()

    @property
    def events(self) -> tuple[Event, ...]:
        """The objects first: when a reader learns of the result, they are on their way."""
        return (*self.received, self.result)


# Worked out here, by the one thread that imports (streams/wire.py says why).
_DECODER = msgspec.json.Decoder(Kept)
_ENCODER = msgspec.json.Encoder()


def find(store: ObjectStore, tenant: str, event_id: str) -> Kept | None:
    """What was kept under a result's name, or None. Raises KeptUnreadable, StoreAway."""
    found = store.find(tenant, STORE, derived_key(tenant, event_id))
    return read(found) if found is not None else None


def read(stored: Stored) -> Kept:
    """Raises KeptUnreadable. Nothing is written over: creation is conditional, so a person has to remove the object."""
    try:
        return _DECODER.decode(stored.data)
    except msgspec.DecodeError:
        raise KeptUnreadable(stored.ref.key) from None


def new_object(kept: Kept) -> NewObject:
    meta = kept.result.meta
    return NewObject(meta.tenant, STORE, derived_key(meta.tenant, meta.event_id), _ENCODER.encode(kept))
