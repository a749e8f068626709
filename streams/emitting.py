"""What a decision step that waits for quiet decides: when it is due, it is made, written, and awaited in the output."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import structlog

from streams import metrics
from streams.deciding import Deciding
from streams.decisions import DecisionStep, Entities
from streams.events import Event
from streams.folding import Folding
from streams.log import LogAway, Producer
from streams.objects import Absent, Damaged, StoreAway, StoreRefused
from streams.outbox import Outbox
from streams.service import Context
from streams.step import NewObject, Stored
from streams.stop import Stop

# Between two polls, so that a crowd of studies that fall quiet together does not keep the member from its group.
DECISIONS_MAX = 100
CHECKPOINT_EVERY = 5000

D = TypeVar("D", bound=Event)
N = TypeVar("N")


class Emitting(Generic[D, N]):
    """Used from one thread."""

    def __init__(
        self, context: Context, step: DecisionStep[Any, D, N], folding: Folding[D, N], producer: Producer
    ) -> None:
        self._context, self._step, self._folding = context, step, folding
        self._outbox = Outbox(context, producer, step.name, folding.topic, step.reads)
        self._log = structlog.get_logger().bind(step=step.name)

    def decide(self, states: Mapping[int, Entities[N]]) -> None:
        """Makes the decisions that are due. Raises Stop, OffsetOutOfRange, UnknownSchema."""
        metrics.ENTITIES_WAITING.labels(self._step.name).set(sum(len(state.waiting) for state in states.values()))
        if self._outbox.is_held:
            return
        now_s = self._context.clock.monotonic()
        due = [
            (number, entities, entity)
            for number, entities in states.items()
            for entity in entities.due(now_s, self._step.quiet_s)
        ]
        for number, entities, entity in due[:DECISIONS_MAX]:
            try:
                self._decide_one(number, entities, entity)
            except (Absent, StoreRefused) as error:
                # One that must wait: it is tried again when it was quiet as long once more. What the store refuses
                # waits for a person, and the others do not.
                entities.waiting[entity].last_seen_s = now_s
                self._log.warning("decision_waits", error=error)
            except (StoreAway, LogAway) as error:
                self.hold("store" if isinstance(error, StoreAway) else "log", error)
                return
            except Damaged as error:
                raise Stop(f"the object of a decision is damaged: {error}; restore it") from None
        self._outbox.goes_on()

    def _decide_one(self, number: int, entities: Entities[N], entity: str) -> None:
        last = self._folding.last(number, entities, entity)
        if last is not None:
            entities.settle_covered(self._step.decided(last.event))
        if (waiting := entities.waiting.get(entity)) is None:
            return
        done = self._step.decide(waiting, last, self._context.clock)
        if done is None:
            entities.settle_all(entity)
            return
        (event,) = done.events(tuple(self._created(new) for new in done.objects))
        self._outbox.send(number, entity, entities, self._outbox.encoded(event, waiting.headers))

    def _created(self, new: NewObject) -> Stored:
        stored = self._context.store.create(new)
        metrics.OBJECTS.labels(new.store, "created" if stored.created else "already_there").inc()
        if stored.created:
            metrics.OBJECT_BYTES.labels(new.store).inc(len(new.data))
        return stored

    @property
    def busy(self) -> bool:
        return False

    def collect(self) -> None:
        self._outbox.collect()

    def hold(self, part: str, error: Exception) -> None:
        self._outbox.hold(part, error)

    def close(self) -> None:
        """Nothing is under way outside of `decide`."""


def when_quiet(
    context: Context, step: DecisionStep[Any, D, N], *, checkpoint_every: int = CHECKPOINT_EVERY
) -> Deciding[Entities[N]]:
    """The runner of a step that decides when its entities are quiet."""
    folding = Folding(context, step, checkpoint_every)
    return Deciding(context, step.name, folding, lambda producer: Emitting(context, step, folding, producer))
