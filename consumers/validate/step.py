"""The step: a received instance becomes a validated one, with findings, or is quarantined.

Only what is unreadable or unidentifiable is quarantined here; everything else flows with findings. Whether an instance
contradicts its patient depends on what else is known of the study: that is for a decision step, since a pure step
depends on its subject alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from consumers.validate import rules
from consumers.validate.config import Limits
from consumers.validate.judging import judged, too_large
from streams.clock import Clock
from streams.events import InstanceReceived, InstanceValidated
from streams.fetching import fetched
from streams.generation import StepIdentity
from streams.objects import ObjectStore
from streams.step import Done, Input, Outcome, Quarantine, RetryLater

# Raised by hand when a change here changes what comes out.
CODE_VERSION = 2


class Validate:
    """Implements `streams.step.Step[InstanceReceived]`."""

    name = "validate"

    def __init__(self, identity: StepIdentity, store: ObjectStore, limits: Limits) -> None:
        self._identity = identity
        self._store = store
        self._limits = limits

    def __call__(self, batch: Sequence[Input[InstanceReceived]], clock: Clock) -> Sequence[Outcome]:
        return [self._one(item, clock) for item in batch]

    def _one(self, item: Input[InstanceReceived], clock: Clock) -> Outcome:
        event = item.event
        data = self._fetched(event)
        if not isinstance(data, bytes):
            return data
        verdict = judged(data, self._limits, event.instance)
        if verdict.held:
            return verdict.held
        meta = msgspec.structs.replace(
            event.meta,
            event_id=self._identity.event_id(event.meta.tenant, event.instance.digest, 0),
            subject=event.instance.digest,
            occurred_at=clock.now(),
        )
        validated = InstanceValidated(
            meta=meta,
            provenance=self._identity.provenance(item),
            instance=event.instance,
            object=event.object,
            technical=event.technical,
            findings=rules.found(verdict.broken),
            source=event.source,
            outside=event.outside,
        )
        return Done.emit(validated)

    def _fetched(self, event: InstanceReceived) -> bytes | Quarantine | RetryLater:
        """The stored file's bytes, or why there are none to look at."""
        return too_large(event.object.length, self._limits) or fetched(self._store, event.object)
