"""A client of librdkafka that is kept for as long as it answers.

One that learned the cluster's picture while the broker was fenced knows no controller, and asks for none until its next
refresh of metadata, which is minutes away: each question meanwhile ends with "timed out while waiting for controller"
(librdkafka's `rd_kafka_admin_worker`; seen also in confluent-kafka-dotnet issue 2104). A leader's epoch that it once
learned it keeps for ever. A new client learns both anew.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import structlog
from confluent_kafka import KafkaException

from streams.repeated import Repeated

C = TypeVar("C")

# While a broker is away, there is not a new client for each question.
_AGAIN_S: Final = 5.0


class Renewed(Generic[C]):
    """Safe for several threads. The one that is replaced ends with the last question that is asked of it."""

    def __init__(self, opened: Callable[[], C], what: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`what` is said in our log. Raises KafkaException."""
        self._opened, self._what, self._clock = opened, what, clock
        self._lock = threading.Lock()
        self._renewed_s = float("-inf")
        self._repeated = Repeated()
        self.client = opened()

    def renew(self, asked: C, why: Exception) -> bool:
        """After a question that `asked` did not answer. Whether there is another one now, by whoever's doing."""
        with self._lock:
            if self.client is not asked:
                return True
            now_s = self._clock()
            if now_s - self._renewed_s < _AGAIN_S:
                return False
            self._renewed_s = now_s
            try:
                self.client = self._opened()
            except KafkaException as error:
                # No threads or memory for one: the old one goes on.
                structlog.get_logger().warning("client_not_renewed", client=self._what, error=error)
                return False
            more = self._repeated.due(self._what)
        if more is not None:
            structlog.get_logger().warning("client_renewed", client=self._what, reason=str(why), **more)
        return True
