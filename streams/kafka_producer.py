"""Writes records: idempotent, `acks=all` (KIP-98), murmur2 partitioner, so that Java clients agree on partitions."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import Any

import confluent_kafka
from confluent_kafka import KafkaError, KafkaException

from streams.kafka_errors import translated
from streams.log import Delivery, LogAway, LogRefused
from streams.wire import Message

_POLL_S = 0.5
_FULL_WAIT_S = 0.05
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


class KafkaProducer:
    """A thread serves the delivery reports. `send` may be called from any thread."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._refused: LogRefused | None = None
        self._producer = confluent_kafka.Producer({**_SETTINGS, **settings, "error_cb": self._on_error})
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="kafka-producer", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while not self._closed.is_set():
            self._producer.poll(_POLL_S)

    def _on_error(self, error: KafkaError) -> None:
        """Authentication shows only here: records would wait for their timeout and seem away."""
        translation = translated(error, "producer")
        if isinstance(translation, LogRefused):
            self._refused = translation

    def send(self, message: Message) -> Future[Delivery]:
        future: Future[Delivery] = Future()

        def delivered(error: KafkaError | None, record: Any) -> None:
            if error is None:
                self._refused = None
                future.set_result(Delivery(record.topic(), record.partition(), record.offset()))
            else:
                future.set_exception(self._failure(error, message.topic))

        while True:
            try:
                self._producer.produce(
                    message.topic, message.value, message.key, headers=list(message.headers), on_delivery=delivered
                )
            except BufferError:
                # Not longer than it takes records to be delivered or to time out.
                time.sleep(_FULL_WAIT_S)
            except KafkaException as error:
                future.set_exception(self._failure(error.args[0], message.topic))
                return future
            else:
                return future

    def _failure(self, error: KafkaError, topic: str) -> Exception:
        failure = translated(error, f"write to {topic}")
        if isinstance(failure, LogAway) and self._refused is not None:
            return self._refused
        return failure if isinstance(failure, LogRefused) else LogAway(str(failure))

    def close(self, timeout_s: float) -> int:
        """What is not acknowledged in time fails with LogAway."""
        left: int = self._producer.flush(timeout_s)
        if left:
            self._producer.purge()
            self._producer.flush(_POLL_S)
        self._closed.set()
        self._thread.join()
        return left
