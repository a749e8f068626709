"""What a decision step decides: when it is due, it is made, written, and then waited for in the output."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog

from streams import metrics
from streams.backoff import Backoff
from streams.decisions import DecisionStep, Entities
from streams.events import Event
from streams.folding import Folding
from streams.log import Delivery, LogAway, Producer
from streams.objects import Absent, Damaged, StoreAway
from streams.service import Context
from streams.step import NewObject, Stored
from streams.stop import Stop
from streams.tracing import child_of
from streams.wire import encode

# Between two polls, so that a crowd of studies that fall quiet together does not keep the member from its group.
DECISIONS_MAX = 100
_AGAIN = Backoff(first_s=0.25, max_s=10.0)

D = TypeVar("D", bound=Event)
N = TypeVar("N")


@dataclass(frozen=True)
class _Sent(Generic[N]):
    number: int
    entity: str
    entities: Entities[N]
    future: Future[Delivery]


class Emitting(Generic[D, N]):
    """Used from one thread."""

    def __init__(
        self, context: Context, step: DecisionStep[Any, D, N], folding: Folding[D, N], producer: Producer
    ) -> None:
        self._context, self._step, self._folding, self._producer = context, step, folding, producer
        self._log = structlog.get_logger().bind(step=step.name)
        self._sent: list[_Sent[N]] = []
        self._hold_until_s = float("-inf")
        self._failures = 0

    def decide(self, by_number: Mapping[int, Entities[N]]) -> None:
        """Makes the decisions that are due. Raises Stop, OffsetOutOfRange, UnknownSchema."""
        now_s = self._context.clock.monotonic()
        if now_s < self._hold_until_s:
            return
        due = [
            (number, entities, entity)
            for number, entities in by_number.items()
            for entity in entities.due(now_s, self._step.quiet_s)
        ]
        for number, entities, entity in due[:DECISIONS_MAX]:
            try:
                self._decide_one(number, entities, entity)
            except Absent as error:
                # One that must wait: it is tried again when it was quiet as long once more.
                entities.waiting[entity].last_seen_s = now_s
                self._log.warning("decision_waits", error=error)
            except (StoreAway, LogAway) as error:
                self.hold("store" if isinstance(error, StoreAway) else "log", error)
                return
            except Damaged as error:
                raise Stop(f"the object of a decision is damaged: {error}; restore it") from None
        self._failures = 0
        self._context.health.ready("store", True)

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
        message = encode(event, self._context.ids, source=self._context.source, extra=child_of(waiting.headers))
        entities.in_flight.add(entity)
        self._sent.append(_Sent(number, entity, entities, self._producer.send(message)))

    def _created(self, new: NewObject) -> Stored:
        stored = self._context.store.create(new)
        metrics.OBJECTS.labels(new.store, "created" if stored.created else "already_there").inc()
        if stored.created:
            metrics.OBJECT_BYTES.labels(new.store).inc(len(new.data))
        return stored

    def collect(self) -> None:
        """What was not acknowledged is decided again; if it is in the log after all, the first one counts.

        Raises Stop, LogRefused.
        """
        # Asked once: a future that ends between two questions would be in neither list.
        ended = [(sent, sent.future.done()) for sent in self._sent]
        self._sent = [sent for sent, done in ended if not done]
        for sent in (sent for sent, done in ended if done):
            error = sent.future.exception()
            if isinstance(error, LogAway):
                sent.entities.in_flight.discard(sent.entity)
                metrics.PRODUCE_FAILURES.labels(self._folding.topic, "away").inc()
                self.hold("log", error)
            elif (there := sent.future.result().partition) != sent.number:
                topic = self._folding.topic
                raise Stop(
                    f"{topic}: a decision on records of partition {sent.number} went to partition {there}; "
                    f"{topic} must have as many partitions as {self._step.reads}"
                )

    def hold(self, part: str, error: Exception) -> None:
        """Decides nothing for a while, longer each time: a part is away."""
        self._failures += 1
        delay_s = _AGAIN.delay_s(self._failures)
        self._hold_until_s = self._context.clock.monotonic() + delay_s
        self._context.health.ready(part, False, f"the {part} does not answer; waiting for it")
        # Our own text: topics, groups, offsets, never a value of a record.
        self._log.warning("waiting", part=part, reason=str(error), again_s=round(delay_s, 2))
