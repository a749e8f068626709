"""pynetdicom's two threads for each association, waiting instead of asking.

As they come, both look for work a thousand times a second, which at sixty images a second costs more than the images.
Here the thread that reads sleeps in `select`, the thread that answers sleeps on its queue, and whoever has work for
them wakes them.
"""

from __future__ import annotations

import queue
import select
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

# Timers and the end of an association are looked at this often, work or none.
_LOOK_S = 0.05
_PAUSE_S = 0.0002


class WaitingSocket(AssociationSocket):
    """`ready` returns when the peer sent something, when something is to be sent, or after a while."""

    bell: socket.socket

    @property
    def ready(self) -> bool:
        if self.socket is None or not self._is_connected:
            time.sleep(_LOOK_S / 10)
            return False
        try:
            readable, _, _ = select.select([self.socket, self.bell], [], [], _LOOK_S)
            if self.bell in readable:
                self.bell.recv(4096)
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # transport connection closed
            return False
        return self.socket in readable


class _Outbox(queue.Queue[Any]):
    """What is to be sent; rings the bell of the reading thread."""

    def __init__(self, ringer: socket.socket) -> None:
        super().__init__()
        self._ringer = ringer

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        # It may ring already, or the association be gone; either way nobody sleeps long.
        with suppress(OSError):
            self._ringer.send(b"\0")


class _Inbox(queue.Queue[Any]):
    """Requests to answer. A `get` that must not block waits a little all the same."""

    def __init__(self) -> None:
        super().__init__()
        self.nudged = threading.Event()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self.nudged.set()

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not block:
            if not self.queue:
                self.nudged.wait(_LOOK_S)
            self.nudged.clear()
        return super().get(block, timeout)


class _Notices(queue.Queue[Any]):
    """Releases and aborts, which the answering thread looks for between requests."""

    def __init__(self, inbox: _Inbox) -> None:
        super().__init__()
        self._inbox = inbox

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        super().put(item, block, timeout)
        self._inbox.nudged.set()


def wait_instead_of_asking(association: Association, connected: WaitingSocket) -> None:
    """Sets up an association's queues before its threads start. `connected` is its socket."""
    connected.bell, ringer = socket.socketpair()
    connected.bell.setblocking(False)
    ringer.setblocking(False)
    inbox = _Inbox()
    association.dimse.msg_queue = inbox
    association.dul.to_provider_queue = _Outbox(ringer)
    association.dul.to_user_queue = _Notices(inbox)
    association.dul._run_loop_delay = _PAUSE_S
