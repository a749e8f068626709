"""What a patient producer is given, in its order (`streams.log.Log.producer`)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import Future

from streams.log import Delivery, LogAway


def begun(sent: Future[Delivery]) -> Future[Delivery]:
    """Raises LogAway or LogRefused where the log did not take it at once: what is next would be before it."""
    if sent.done():
        sent.result()
    return sent


def acknowledged(sent: Iterable[Future[Delivery]], within_s: float) -> None:
    """Returns when the log has all of it. Raises LogRefused, and LogAway: whoever sent it then closes the producer
    before it sends anything again, so that nothing overtakes what was given up (docs/decisions/0070)."""
    deadline_s = time.monotonic() + within_s
    for future in sent:
        try:
            future.result(max(0.0, deadline_s - time.monotonic()))
        except TimeoutError:
            raise LogAway(f"the log did not acknowledge in {within_s:g} s") from None
