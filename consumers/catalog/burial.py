"""Records whose rows PostgreSQL refuses: dead letters, so that one of them never holds up the rest."""

from __future__ import annotations

import structlog

from consumers.catalog.ledger import GROUP
from streams import metrics
from streams.deadletters import DeadLetterLimit, dead_letter, dead_letter_topic
from streams.events import Event
from streams.log import LogAway
from streams.projecting import ProjectingSettings
from streams.service import Context
from streams.step import Away, Input
from streams.stop import Stop

_CLOSE_S = 5.0


class Burial:
    """Used from one thread."""

    def __init__(self, context: Context, settings: ProjectingSettings) -> None:
        self._context = context
        self._producer = context.log.producer()
        self._limit = DeadLetterLimit(settings.dead_letters_max, settings.dead_letters_window_s, context.clock)
        self._limit.recall(context.log, GROUP)

    def bury(self, item: Input[Event], reason: str) -> None:
        """Returns when the dead letter is acknowledged. Raises Away where the log is, Stop past the limit."""
        record = item.record
        if not self._limit.admits_one_more():
            raise Stop(
                f"{record.topic}/{record.partition} offset {record.offset}: more than {self._limit.count_max} records "
                f"in {self._limit.window_s:.0f} s that PostgreSQL refuses ({reason}). This one is kept where it is. "
                f"Look at {dead_letter_topic(GROUP)}, mend the cause, then start the service again"
            )
        structlog.get_logger().error(
            "record_dead_lettered", topic=record.topic, partition=record.partition, offset=record.offset, reason=reason
        )
        message = dead_letter(record, GROUP, reason, self._context.clock.now())
        try:
            self._producer.send(message).result()
        except LogAway:
            raise Away("the log does not answer; a dead letter could not be written") from None
        metrics.DEAD_LETTERS.labels(GROUP).inc()

    def close(self) -> None:
        self._producer.close(_CLOSE_S)
