"""Who tells a requester what became of its storage commitment: the association that asked, or an association of ours.

Both may be able to at the same time, in two processes. An object that is created once says whose turn it is, another
one what came of it; so the same result is told by both only where the first could not say how it went.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from streams.clock import Clock
from streams.events import CommitmentResult
from streams.identity import commitment_key
from streams.objects import ObjectStore
from streams.step import NewObject

Whose = Literal["association", "service"]

# How long the association that asked may take, from its turn to what came of it.
TURN_S: Final = 60.0
# How long it may take to answer. The rest is for clocks that differ, and for the store.
ANSWER_S: Final = 20.0
_STORE: Final = "hot"


class Turn(msgspec.Struct, frozen=True):
    whose: Whose
    at: datetime


class Told(msgspec.Struct, frozen=True):
    """`status` is that of the N-EVENT-REPORT response; None where there was none."""

    status: int | None


# Worked out here, by the one thread that imports (streams/wire.py says why).
_ENCODER = msgspec.json.Encoder()
_TURN = msgspec.json.Decoder(Turn)
_TOLD = msgspec.json.Decoder(Told)


class Turns:
    """Used from several threads at once. Raises StoreAway, StoreRefused."""

    def __init__(self, store: ObjectStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def take(self, result: CommitmentResult, whose: Whose) -> tuple[Turn, bool]:
        """Whose turn it is, and whether it was taken just now."""
        new = self._new(result, "turn", _ENCODER.encode(Turn(whose, self._clock.now())))
        stored = self._store.create(new)
        return _TURN.decode(stored.data), stored.created

    def tell(self, result: CommitmentResult, status: int | None) -> None:
        """What came of the association's turn."""
        self._store.create(self._new(result, "told", _ENCODER.encode(Told(status))))

    def told(self, result: CommitmentResult) -> Told | None:
        """What came of the association's turn, if it is over."""
        found = self._store.find(result.meta.tenant, _STORE, _key(result, "told"))
        return None if found is None else _TOLD.decode(found.data)

    def _new(self, result: CommitmentResult, what: str, data: bytes) -> NewObject:
        return NewObject(result.meta.tenant, _STORE, _key(result, what), data)


def _key(result: CommitmentResult, what: str) -> str:
    """A result that is said again, because it was asked for again, is told again (`consumers.commitment.step`)."""
    said_ms = round(result.meta.occurred_at.timestamp() * 1000)
    return commitment_key(result.meta.tenant, result.meta.event_id, f"{said_ms}.{what}")
