"""What is large is in the memory of a step alone: threads that come with another such object wait for the first."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Final

LARGE_BYTES: Final = 256 << 20


class OneLarge:
    """Used from many threads. What has LARGE_BYTES or less waits for nobody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def turn(self, size: int) -> AbstractContextManager[object]:
        """`with` it the object of `size` bytes is read and looked at."""
        return self._lock if size > LARGE_BYTES else nullcontext()
