"""What librdkafka says of itself, in our log."""

from __future__ import annotations

import re
from typing import Final

import structlog

from streams.repeated import Repeated

# What differs between equal lines: which client of the process, which of its threads, for how long, how often.
_VARIES: Final = re.compile(r"-\d+(?=\])|\[thrd:[^\]]*\]|\(after (?:[^()]|\(s\))*\)")


class ClientLog:
    """librdkafka's own messages (addresses, properties, never the bytes of records), as a `logging.Logger` takes them.
    They reach it when the client is polled. Safe for several threads.

    It leaves out equal ones itself, but for each connection that it makes: while no broker answers it makes all of them
    anew, several times a second (KIP-899), for each client of a process.
    """

    def __init__(self, repeated: Repeated | None = None) -> None:
        self._repeated = repeated or Repeated()

    def log(self, level: int, form: str, *args: object) -> None:
        text = form % args
        more = self._repeated.due(level, _VARIES.sub("", text))
        if more is not None:
            structlog.get_logger().log(level, "kafka_client", text=text, **more)
