"""Decisions on their way into the output: sent, acknowledged, or decided again. And a pause while a part is away."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

import structlog

from streams import metrics
from streams.backoff import Backoff
from streams.events import Event
from streams.log import Delivery, LogAway, Producer
from streams.repeated import Repeated
from streams.service import Context
from streams.stop import Stop
from streams.tracing import child_of
from streams.wire import Headers, Message, encode

_AGAIN = Backoff(first_s=0.25, max_s=10.0)


class Flights(Protocol):
    """The state that a decision was made of: `in_flight` holds the entities whose decision was not read back yet."""

    in_flight: set[str]


@dataclass(frozen=True)
class _Sent:
    number: int
    entity: str
    state: Flights
    future: Future[Delivery]


class Outbox:
    """`topic` is the physical output, `like` names the inputs it is partitioned as. Used from one thread."""

    def __init__(self, context: Context, producer: Producer, step: str, topic: str, like: str) -> None:
        self._context, self._producer, self._topic, self._like = context, producer, topic, like
        self._log = structlog.get_logger().bind(step=step)
        self._repeated = Repeated(context.clock)
        self._sent: list[_Sent] = []
        self._hold_until_s = float("-inf")
        self._failures = 0

    def encoded(self, event: Event, headers: Headers) -> Message:
        return encode(event, self._context.ids, source=self._context.source, extra=child_of(headers))

    def send(self, number: int, entity: str, state: Flights, message: Message) -> None:
        state.in_flight.add(entity)
        self._sent.append(_Sent(number, entity, state, self._producer.send(message)))

    def collect(self) -> list[str]:
        """What was not acknowledged is decided again; if it is in the log after all, the first one counts.

        Returns the entities of which that is so. Raises Stop, LogRefused.
        """
        # Asked once: a future that ends between two questions would be in neither list.
        ended = [(sent, sent.future.done()) for sent in self._sent]
        self._sent = [sent for sent, done in ended if not done]
        lost = []
        for sent in (sent for sent, done in ended if done):
            error = sent.future.exception()
            if isinstance(error, LogAway):
                sent.state.in_flight.discard(sent.entity)
                lost.append(sent.entity)
                metrics.PRODUCE_FAILURES.labels(self._topic, "away").inc()
                self.hold("log", error)
            elif (there := sent.future.result().partition) != sent.number:
                raise Stop(
                    f"{self._topic}: a decision on records of partition {sent.number} went to partition {there}; "
                    f"{self._topic} must have as many partitions as {self._like}"
                )
        return lost

    # While a part is away.

    @property
    def is_held(self) -> bool:
        return self._context.clock.monotonic() < self._hold_until_s

    def hold(self, part: str, error: Exception) -> None:
        """Decides nothing for a while, longer each time: a part is away."""
        self._failures += 1
        delay_s = _AGAIN.delay_s(self._failures)
        self._hold_until_s = self._context.clock.monotonic() + delay_s
        self._context.health.ready(part, False, f"the {part} does not answer; waiting for it")
        # Our own text: topics, groups, offsets, never a value of a record. Whoever is held goes round, and fails again.
        reason = str(error)
        if (more := self._repeated.due(part, reason)) is not None:
            self._log.warning("waiting", part=part, reason=reason, again_s=round(delay_s, 2), **more)

    def goes_on(self) -> None:
        """The store answered."""
        self._failures = 0
        self._context.health.ready("store", True)
