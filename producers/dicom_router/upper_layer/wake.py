"""How other threads get the attention of the one that reads a connection: a descriptor that it polls."""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress


class Wake:
    """`set` from any thread, the others from one. Raises OSError where there is no descriptor left."""

    def __init__(self) -> None:
        self.descriptor = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()
        self._closed = False
        self._poll = select.poll()
        self._poll.register(self.descriptor, select.POLLIN)

    def set(self) -> None:
        """Nothing happens once it is closed: another may have the descriptor's number by then."""
        with self._lock:
            if not self._closed:
                os.eventfd_write(self.descriptor, 1)

    def clear(self) -> None:
        with suppress(BlockingIOError):
            os.eventfd_read(self.descriptor)

    def wait(self) -> None:
        """Until it is set."""
        self._poll.poll()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            os.close(self.descriptor)
