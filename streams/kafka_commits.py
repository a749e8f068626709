"""Commits of one client, none of which holds its caller for longer than a time of ours.

librdkafka waits for the answer without a limit: while it knows no coordinator it holds a commit back for
`session.timeout.ms` (45 s, which KIP-848 takes from the client), and what was sent and got no answer it sends again
(librdkafka issue 3740, confluent-kafka-python issue 1801). Whoever waited with it polled nothing, and did not hear that
the service is to end. So a thread waits for it, and the caller goes on after a while.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final

import confluent_kafka
from confluent_kafka import KafkaException

from streams.kafka_errors import of_exception, translated
from streams.log import LogAway

# Longer than a request may take (`socket.timeout.ms` of a member), so that librdkafka's own word comes first.
_ANSWER_S_MAX: Final = 12.0
# By then librdkafka has long given it up, or never will.
_OVER_S: Final = 60.0


class Commits:
    """Used from one thread. One commit at a time: an older one never comes after a newer."""

    def __init__(self, client: confluent_kafka.Consumer) -> None:
        self._client = client
        self._last: Future[Sequence[Any] | None] | None = None
        self._began_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether one was begun of which nobody knows the end: it may still reach the broker."""
        return self._last is not None and not self._last.done()

    @property
    def is_over(self) -> bool:
        """Whether one has been open for so long that this client will not end it."""
        return self.is_open and time.monotonic() - self._began_s > _OVER_S

    def commit(self, offsets: list[confluent_kafka.TopicPartition], what: str) -> None:
        """Raises Fenced, LogAway, LogRefused. After LogAway the offsets may be committed, now or later."""
        if self.is_open:
            raise LogAway(f"{what}: the one before has no answer yet")
        last = self._last = Future()
        self._began_s = time.monotonic()
        # A daemon: a process that is to end does not wait for it.
        threading.Thread(target=self._wait, args=(offsets, last), name="commit", daemon=True).start()
        try:
            results = last.result(timeout=_ANSWER_S_MAX)
        except KafkaException as error:
            raise of_exception(error, what) from None
        except TimeoutError:
            raise LogAway(f"{what}: no answer") from None
        for result in results or ():
            if result.error is not None:
                raise translated(result.error, what)

    def _wait(self, offsets: list[confluent_kafka.TopicPartition], last: Future[Sequence[Any] | None]) -> None:
        try:
            last.set_result(self._client.commit(offsets=offsets, asynchronous=False))
        except BaseException as error:  # noqa: BLE001 - raised by the future
            last.set_exception(error)
