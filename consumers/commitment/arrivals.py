"""What had arrived when somebody asked: a catalog that has less may know of an older image under the same UID alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog

from schemas import load_topics
from streams.events import SUBJECTS, InstanceReceived
from streams.log import Log, LogAway, LogRefused, TopicClosed, TopicPartition
from streams.step import Away
from streams.stop import Stop

# An image and the request for it may come to two routers, whose clocks differ.
_CLOCKS: Final = timedelta(seconds=5)


class Arrivals:
    """Used from several threads at once."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._topics = load_topics().physical(SUBJECTS[InstanceReceived])
        # Why the log refuses; empty where it does not.
        self._refused = ""

    def check(self) -> None:
        """Raises Stop where the log does not let us ask: every request would wait for ever. One that is away is no
        answer."""
        try:
            self._until(0)
        except TopicClosed as error:
            raise Stop(
                f"{error}. `commitment` reads {', '.join(self._topics)} to know what had arrived when somebody asked: "
                "let its account read them (ACL: Read), and start it again"
            ) from None
        except (LogAway, LogRefused):
            pass

    def until(self, at: datetime) -> Mapping[TopicPartition, int]:
        """By partition, the offset behind all that was written until then. Raises Away."""
        try:
            found = self._until(int((at + _CLOCKS).timestamp() * 1000))
        except (LogAway, LogRefused) as error:
            if isinstance(error, LogRefused):
                self._say(str(error))
            raise Away(f"the log does not say what has arrived ({type(error).__name__})") from None
        self._say("")
        return found

    def _until(self, at_ms: int) -> Mapping[TopicPartition, int]:
        """Raises LogAway, LogRefused."""
        counts = self._log.partitions_of(self._topics)
        names = [TopicPartition(topic, number) for topic, count in counts.items() for number in range(count)]
        return self._log.since(names, at_ms)

    def _say(self, refused: str) -> None:
        """Once for each change. The text is our own: a topic, and the name of an error."""
        before, self._refused = self._refused, refused
        if refused and refused != before:
            structlog.get_logger().error("arrivals_refused", reason=refused)
