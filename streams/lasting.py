"""A producer for who writes for as long as a service runs: one whose client gave itself up is replaced.

An idempotent client takes nothing more, for as long as it lives, once the broker lost what it had acknowledged (KIP-98;
librdkafka's fatal errors). Services whose order rests on what is queued are to stop then, and start again. This one is
for those that wait for each record before the next of its kind: what they write twice has one id.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Final

import structlog

from streams.clock import Clock
from streams.log import ClientOver, Delivery, Producer
from streams.wire import Message

# Where the next one fares no better, there is not one for each record.
_AGAIN_S: Final = 5.0


class LastingProducer:
    """Implements `streams.log.Producer`. Used from many threads."""

    def __init__(self, opened: Callable[[], Producer], clock: Clock) -> None:
        self._opened = opened
        self._clock = clock
        self._lock = threading.Lock()
        self._producer = opened()
        self._opened_at = clock.monotonic()
        self._over: Producer | None = None

    def send(self, message: Message) -> Future[Delivery]:
        producer = self._current()
        future = producer.send(message)
        future.add_done_callback(lambda done: self._look(producer, done))
        return future

    def close(self, timeout_s: float) -> int:
        return self._producer.close(timeout_s)

    def _current(self) -> Producer:
        with self._lock:
            now = self._clock.monotonic()
            if self._over is self._producer and now - self._opened_at >= _AGAIN_S:
                self._opened_at = now
                self._replace()
            return self._producer

    def _replace(self) -> None:
        """Where no other can be had now, the old one stays and fails by itself, which is no fault of a record."""
        log = structlog.get_logger()
        try:
            new = self._opened()
        except Exception:
            log.error("producer_not_replaced", exc_info=True)
            return
        old, self._producer = self._producer, new
        log.warning("producer_replaced")
        # Not here: its end waits for its threads. Without a thread to be had, it ends with the process.
        with suppress(RuntimeError):
            threading.Thread(target=old.close, args=(0.0,), name="producer-over", daemon=True).start()

    def _look(self, producer: Producer, done: Future[Delivery]) -> None:
        """In whichever thread the record's fate is told: in the client's own, too, so nothing waits here."""
        if not done.cancelled() and isinstance(done.exception(), ClientOver):
            self._over = producer
