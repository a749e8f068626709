"""Requests of ours to a peer that opened the association: notifications, one at a time (PS3.7 section 10.1.1)."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from producers.dicom_router.upper_layer.command_set import N_EVENT_REPORT_RSP, Command
from producers.dicom_router.upper_layer.pdu import BY_USER, Violation

# PS3.7 section 9.3: any number that no other request of ours has.
_MESSAGE_IDS: Final = 0x10000


class Notification(NamedTuple):
    """`command` makes its command set out of a message ID. The data set is in the context's transfer syntax."""

    context_id: int
    command: Callable[[int], bytes]
    data_set: bytes


@dataclass(eq=False)
class _Notice:
    what: Notification
    over: threading.Event = field(default_factory=threading.Event)
    message_id: int | None = None
    status: int | None = None


class Notices:
    """`ask` from any thread, the others from the connection's own, that `wake` wakes. Of a peer that does not answer in
    time the answer is still awaited: only one notification may be outstanding."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._waiting: deque[_Notice] = deque()
        self._outstanding: _Notice | None = None
        self._sent = 0
        self._closed = False

    @property
    def is_closed(self) -> bool:
        """Whether the association is over."""
        return self._closed

    def ask(self, what: Notification, timeout_s: float) -> int | None:
        """The status of the response, None where there was none in time."""
        notice = _Notice(what)
        with self._lock:
            if self._closed:
                return None
            self._waiting.append(notice)
        self._wake()
        notice.over.wait(timeout_s)
        with self._lock:
            if notice in self._waiting:
                self._waiting.remove(notice)
        return notice.status

    def due(self) -> tuple[int, bytes, bytes] | None:
        """What is to be sent now: context, command set, data set."""
        with self._lock:
            if self._outstanding is not None or not self._waiting:
                return None
            notice = self._outstanding = self._waiting.popleft()
        self._sent += 1
        notice.message_id = self._sent % _MESSAGE_IDS
        return notice.what.context_id, notice.what.command(notice.message_id), notice.what.data_set

    def answered(self, response: Command) -> None:
        """Raises Violation for a response to nothing."""
        notice = self._outstanding
        if notice is None or (response.field, response.message_id) != (N_EVENT_REPORT_RSP, notice.message_id):
            raise Violation("a response that nobody asked for", BY_USER)
        self._outstanding = None
        notice.status = response.status
        notice.over.set()
        self._wake()

    def close(self) -> None:
        """The association is over, and with it what was not answered."""
        with self._lock:
            self._closed = True
            left = [*self._waiting, *([self._outstanding] if self._outstanding else [])]
            self._waiting.clear()
        for notice in left:
            notice.over.set()
