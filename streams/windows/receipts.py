"""When the instance of an event was received, and its modality, handed on from event to event.

Only imaging.instance.received says when; what steps make of it says from which event. So the last receipts are kept, by
event id. What is not known (a restart, an event far behind) is counted without its latency: nothing here is exact.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from datetime import datetime
from typing import NamedTuple

from streams.events import Derived, Event, InstanceReceived
from streams.lagging.sampling import UNKNOWN, term

# About 15 MB; at 100 images a second, ten minutes of three events each.
KEPT = 100_000
_POLL_S = 0.05


class Receipt(NamedTuple):
    at: datetime
    modality: str


class Receipts:
    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._of: OrderedDict[str, Receipt] = OrderedDict()

    async def awaited(self, event: Event, until_s: float) -> Receipt | None:
        """As `of`, waiting for an input that another agent is about to read, until a moment (Unix time).

        Topics are fetched side by side, so a result can be read a little before what it was made of.
        """
        while (receipt := self.of(event)) is None and time.time() < until_s:
            await asyncio.sleep(_POLL_S)
        return receipt

    def of(self, event: Event) -> Receipt | None:
        """The receipt of the event's instance; of several inputs, of the one that came last."""
        receipt = self._of_inputs(event)
        if isinstance(event, InstanceReceived):
            receipt = Receipt(event.meta.occurred_at, term(event.technical.modality))
        if receipt is not None:
            self._of[event.meta.event_id] = receipt
            if len(self._of) > self._kept:
                self._of.popitem(last=False)
        return receipt

    def _of_inputs(self, event: Event) -> Receipt | None:
        if not isinstance(event, Derived):
            return None
        known = [self._of[ref.event_id] for ref in event.provenance.inputs if ref.event_id in self._of]
        return max(known, default=None)


def modality_of(event: Event, receipt: Receipt | None) -> str:
    """A word fit for a label."""
    technical = getattr(event, "technical", None)
    if technical is not None:
        return term(technical.modality)
    return UNKNOWN if receipt is None else receipt.modality
