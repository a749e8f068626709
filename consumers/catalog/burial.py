"""Records whose rows PostgreSQL refuses: dead letters, so that one of them never holds up the rest."""

from __future__ import annotations

import structlog

from consumers.catalog.ledger import GROUP
from streams import metrics
from streams.deadletters import DeadLetterLimit, dead_letter
from streams.events import Event
from streams.log import LogAway
from streams.projecting import ProjectingSettings
from streams.service import Context
from streams.step import Away, Input
from streams.stop import Stop

_CLOSE_S = 5.0


class Burial:
    """Used from one thread. What is dead before it is decoded is the runner's to bury."""

    def __init__(self, context: Context, settings: ProjectingSettings) -> None:
        self._context = context
        self._limit = DeadLetterLimit(context, GROUP, settings.dead_letters_max, settings.dead_letters_window_s)
        self._limit.recall()
        self._producer = context.log.producer()

    def bury(self, item: Input[Event], reason: str) -> None:
        """Returns when the dead letter is acknowledged. Raises Away where the log is, Stop past the limit."""
        record = item.record
        place = f"{record.topic}/{record.partition} offset {record.offset}"
        if not self._limit.admits(record):
            raise Stop(self._limit.exceeded(place, reason))
        structlog.get_logger().error("record_dead_lettered", place=place, reason=reason)
        try:
            self._producer.send(dead_letter(record, GROUP, reason, self._context.clock.now())).result()
        except LogAway:
            raise Away("the log does not answer; a dead letter could not be written") from None
        metrics.DEAD_LETTERS.labels(GROUP).inc()

    def close(self) -> None:
        self._producer.close(_CLOSE_S)
