"""Writes records: idempotent, `acks=all` (KIP-98), murmur2 partitioner, so that Java clients agree on partitions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from streams.kafka_errors import translated
from streams.log import Delivery, LogAway, LogRefused, TopicClosed
from streams.wire import Message

_POLL_S = 0.5
_FULL_WAIT_S = 0.05
# A queue that is full for so long is that of a log that is away.
_FULL_S_MAX = 30.0
# What a socket or a name server may keep librdkafka's own threads from ending; they end by themselves then.
_END_S_MAX = 5.0
_SETTINGS: dict[str, Any] = {
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": "murmur2_random",
    "compression.type": "lz4",
    # Longer than a broker's restart, shorter than the patience of a scanner.
    "delivery.timeout.ms": 30_000,
    "queue.buffering.max.messages": 20_000,
    "queue.buffering.max.kbytes": 65_536,
}


DeliveryReport = Callable[[KafkaError | None, Any], None]


class KafkaProducer:
    """A thread serves the delivery reports. `send` may be called from any thread."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._refused: LogRefused | None = None
        self._full_since_s: float | None = None
        self._producer = confluent_kafka.Producer({**_SETTINGS, **settings, "error_cb": self._on_error})
        # What is queued under it is queued before the flush of `close`, so its report comes.
        self._queueing = threading.Lock()
        self._closing, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._serve, name="kafka-producer", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._closed.is_set():
            self._producer.poll(_POLL_S)
        # Else its threads and connections stay until the interpreter looks for cycles, which may be never.
        self._producer.close()

    def _on_error(self, error: KafkaError) -> None:
        """Authentication shows only here: records would wait for their timeout and seem away."""
        translation = translated(error, "producer")
        if isinstance(translation, LogRefused) and not isinstance(translation, TopicClosed):
            self._refused = translation

    def send(self, message: Message) -> Future[Delivery]:
        future: Future[Delivery] = Future()
        # What is queued cannot be called back: who cancels (asyncio does, at a timeout) only looks away. A report on it
        # would be an error in the thread that serves all of them.
        future.set_running_or_notify_cancel()

        def delivered(error: KafkaError | None, record: Any) -> None:
            if error is None:
                self._refused = None
                future.set_result(Delivery(record.topic(), record.partition(), record.offset()))
            else:
                future.set_exception(self._failure(error, message.topic))

        if (failure := self._queued(message, delivered)) is not None:
            future.set_exception(failure)
        return future

    def _queued(self, message: Message, delivered: DeliveryReport) -> Exception | None:
        """Waits while the queue is full. Why it will not be queued, or None."""
        try:
            while not self._taken(message, delivered):
                if self._stays_full():
                    return LogAway(f"write to {message.topic}: the queue is full of what the log does not acknowledge")
                self._closing.wait(_FULL_WAIT_S)
        except KafkaException as error:
            return self._failure(error.args[0], message.topic)
        except RuntimeError:
            # So says a client that is closed.
            return LogAway(f"write to {message.topic}: the producer is closed")
        self._full_since_s = None
        return None

    def _taken(self, message: Message, delivered: DeliveryReport) -> bool:
        """False where the queue is full. Raises KafkaException, and RuntimeError where the producer is closed."""
        with self._queueing:
            if self._closing.is_set():
                raise RuntimeError("closed")
            try:
                self._producer.produce(
                    message.topic, message.value, message.key, headers=list(message.headers), on_delivery=delivered
                )
            except BufferError:
                return False
            return True

    def _stays_full(self) -> bool:
        """Counted from the first record that found no room, so that those behind it do not wait as long once more."""
        now_s = time.monotonic()
        if self._full_since_s is None:
            self._full_since_s = now_s
        return now_s - self._full_since_s >= _FULL_S_MAX

    def _failure(self, error: KafkaError, topic: str) -> Exception:
        failure = translated(error, f"write to {topic}")
        refused = self._refused
        if isinstance(failure, LogAway) and refused is not None:
            # Each its own: whoever raises one hangs a traceback on it, and that holds what was to be written.
            return type(refused)(*refused.args)
        return failure if isinstance(failure, LogRefused) else LogAway(str(failure))

    def close(self, timeout_s: float) -> int:
        """What is not acknowledged in time fails with LogAway; so does what anybody sends from now on."""
        with self._queueing:
            if self._closing.is_set():
                return 0
            self._closing.set()
        left: int = self._producer.flush(timeout_s)
        if left:
            self._producer.purge()
            self._producer.flush(_POLL_S)
        self._closed.set()
        self._thread.join(_END_S_MAX)
        return left
