"""Looks at the files of `Clients` while a service runs, and says what is broken and what ends soon."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from streams import metrics
from streams.clock import Clock
from streams.gauges import Board
from streams.health import Health
from streams.tls.clients import SECTION, Clients
from streams.tls.ends import ends_of_ours, first_of_each, soon

# Not those of `Served`, which a service may have as well.
TLS, ENDS = "dicom.tls", "dicom.ends"
_LOOK_S: Final = 1.0


def looking(clients: Clients, health: Health, clock: Clock) -> Callable[[], None]:
    """What to call about once a second, from one thread."""
    board = Board()

    def look() -> None:
        clients.look()
        problem, now = clients.problem, clock.now()
        health.warn(TLS, f"{problem}; what was read before stays in force" if problem else "")
        ends = list(ends_of_ours(clients.ends(), SECTION))
        board.show(metrics.TRUST_DAYS_LEFT, first_of_each(SECTION, ends, now))
        health.warn(ENDS, soon(ends, now, "radstream doctor"))

    return look


@contextmanager
def looked_at(clients: Clients, health: Health, clock: Clock) -> Iterator[None]:
    """Until the block ends, from a thread of its own: for a service whose loop is not its own."""
    look, ended = looking(clients, health, clock), threading.Event()

    def go_on() -> None:
        while not ended.wait(_LOOK_S):
            look()

    thread = threading.Thread(target=go_on, name="tls", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
