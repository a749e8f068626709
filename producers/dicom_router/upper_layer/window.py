"""Operations that go on while their association is read further: its asynchronous window (PS3.7 annex D.3.3.3).

Each is performed in a thread of its own; everything that is said on the connection is said by the connection's own
thread, a response at a time, as operations end. Where as many are outstanding as may be, it reads no further: what a
peer sends all the same waits in the connection.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, Protocol

from producers.dicom_router.upper_layer.connection import Connection
from producers.dicom_router.upper_layer.messages import Message
from producers.dicom_router.upper_layer.wake import Wake
from streams.identity import uid_text


class Ahead(Protocol):
    """What it takes to read an association further while an operation of it goes on. Used from any thread."""

    @property
    def operations_max(self) -> int:
        """How many of one association may be outstanding; 1 reads none further."""

    def take(self) -> bool:
        """Whether there is room for one message more than the one that every association may have."""

    def give_back(self) -> None:
        """A room that was taken."""

    def run(self, work: Callable[[], None]) -> None:
        """In another thread. Raises RuntimeError where the system has none left."""


class _Ended(NamedTuple):
    """An operation that was performed: its response, or what it failed by."""

    message: Message
    response: bytes
    failure: Exception | None


class Window:
    """Used by the connection's thread. `perform` makes a message its response, in any thread.

    `attend` is what that thread does whenever it is woken, `settle` among it: that raises what an operation failed by.
    """

    def __init__(
        self,
        connection: Connection,
        ahead: Ahead,
        size: int,
        perform: Callable[[Message], bytes],
        wake: Wake,
        attend: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._ahead = ahead
        self._size = size
        self._perform = perform
        self._wake = wake
        self._attend = attend
        self._outstanding: list[Message] = []
        self._taken = 0
        self._lock = threading.Lock()
        self._ended: list[_Ended] = []

    @property
    def is_busy(self) -> bool:
        """Whether operations are outstanding."""
        return bool(self._outstanding)

    def begin(self, message: Message) -> None:
        """Performs an operation; returns when the next message may be read. Raises as `Connection.send`."""
        while any(_one_after_the_other(message, other) for other in self._outstanding):
            self._await()
        self._outstanding.append(message)
        try:
            self._ahead.run(partial(self._run, message))
        except RuntimeError:
            self._run(message)
        while not self._has_room():
            self._await()

    def settle(self) -> None:
        """Sends the responses that there are, each in one write."""
        for ended in self._take_ended():
            if ended.failure is not None:
                raise ended.failure
            self._connection.send(ended.response)

    def finish(self) -> None:
        """Returns when all were answered. Raises as `Connection.send`."""
        while self._outstanding:
            self._await()

    def close(self) -> None:
        """Returns when none goes on any more, whether their peer could be told or not."""
        while self._outstanding:
            self._wake.wait()
            self._wake.clear()
            self._take_ended()

    def _run(self, message: Message) -> None:
        response, failure = b"", None
        try:
            response = self._perform(message)
        except Exception as error:  # noqa: BLE001 - it is raised where the association is
            failure = error
        with self._lock:
            self._ended.append(_Ended(message, response, failure))
        self._wake.set()

    def _await(self) -> None:
        self._wake.wait()
        self._attend()

    def _take_ended(self) -> list[_Ended]:
        with self._lock:
            ended, self._ended = self._ended, []
        for one in ended:
            self._outstanding = [other for other in self._outstanding if other is not one.message]
        while self._taken > len(self._outstanding):
            self._ahead.give_back()
            self._taken -= 1
        return ended

    def _has_room(self) -> bool:
        """Whether another message may come in: one that is read has its room, and each that is outstanding another."""
        if len(self._outstanding) >= self._size:
            return False
        while self._taken < len(self._outstanding):
            if not self._ahead.take():
                return False
            self._taken += 1
        return True


def _one_after_the_other(message: Message, other: Message) -> bool:
    """Whether the peer could not tell their responses apart, or which of both came first would be left to chance."""
    one, two = message.request.command, other.request.command
    return one.message_id == two.message_id or uid_text(one.sop_instance) == uid_text(two.sop_instance) != ""
