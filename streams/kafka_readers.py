"""Consumers without a group that read parts of partitions: a new one for each reading, or a few that are kept."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import confluent_kafka


class Readers:
    """A service reads so seldom that it keeps none: what waits unused gathers errors of a broker that was away.

    Who looks up a record for each study (`radstream verify`) keeps some: a new one takes a hundred times as long as the
    reading. Safe for several threads.
    """

    def __init__(self, settings: Mapping[str, Any], kept_max: int = 0) -> None:
        self._settings = dict(settings)
        self._kept_max = kept_max
        self._idle: deque[confluent_kafka.Consumer] = deque()

    @contextmanager
    def one(self) -> Iterator[confluent_kafka.Consumer]:
        """For one reading. One that did not come to its end is never used again."""
        try:
            consumer = self._idle.pop()
        except IndexError:
            consumer = confluent_kafka.Consumer(self._settings)
        try:
            yield consumer
        except BaseException:
            consumer.close()
            raise
        if len(self._idle) < self._kept_max:
            consumer.unassign()
            self._idle.append(consumer)
        else:
            consumer.close()
