"""Waiting for a condition, with a deadline: tests do not sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_S = 0.05
# It costs nothing where the machine is quick. One that others share stands still for a minute now and then.
DEADLINE_S = 180.0


def wait_until(condition: Callable[[], T | None], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Asks again and again until the answer is true, and returns it. Fails with `what` it waited for."""
    end = time.monotonic() + deadline_s
    while not (answer := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {deadline_s:g} s in vain for {what}")
        time.sleep(POLL_S)
    return answer
