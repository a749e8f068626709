"""A transport connection with deadlines (PS3.8 section 9.1): one thread reads and writes it, blocking.

Deadlines are absolute. The kernel wakes a read that got nothing a few times a second, so a deadline that another thread
moves is seen soon, and no read pays for a timer of its own. Under TLS it is a `tls_connection.TlsConnection`.
"""

from __future__ import annotations

import math
import select
import socket
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

TICK_S: Final = 0.25
# A response is some 200 bytes. Who does not take them for so long takes nothing any more.
SEND_S_MAX: Final = 10.0
_LINGER_BYTES_MAX: Final = 64 << 20


class Closed(Exception):
    """The peer closed the connection, or it broke."""


class Expired(Exception):
    """A deadline passed."""


class Attended:
    """A socket, and a descriptor beside it that somebody else writes to."""

    def __init__(self, connected: int, wake: int, ready: Callable[[], None]) -> None:
        self._wake = wake
        self._ready = ready
        self._poll = select.poll()
        for descriptor in (connected, wake):
            self._poll.register(descriptor, select.POLLIN)

    def wait(self, seconds_max: float = TICK_S) -> bool:
        """Whether the socket can be read."""
        there = dict(self._poll.poll(seconds_max * 1000))
        if there.pop(self._wake, 0):
            self._ready()
        return bool(there)


class Connection:
    """`deadline` and `end` are on the monotonic clock, in seconds; either ends a read by Expired.

    `deadline` belongs to the thread of the connection, `end` may be set by others.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.deadline = math.inf
        self.end = math.inf
        self._attended: Attended | None = None

    def prepare(self) -> None:
        """Before anything else. Raises OSError where the connection is gone already."""
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(TICK_S))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(SEND_S_MAX))

    def attend(self, wake: int, ready: Callable[[], None]) -> None:
        """From now on, whenever the descriptor `wake` can be read while a read waits, the read calls `ready`.

        In the connection's own thread, so `ready` may send. What it raises, the read raises.
        """
        self._attended = Attended(self._socket.fileno(), wake, ready)

    def attend_no_more(self) -> None:
        self._attended = None

    def receive(self, into: memoryview, ahead: memoryview | None = None, flags: int = 0) -> int:
        """Takes what is there, at least a byte; what is more than `into` holds goes to `ahead`. Bytes taken.

        `flags` are recv(2)'s. Raises Closed, Expired.
        """
        while True:
            # Before the read: what is taken is never let go of, so that what follows is read from where it begins.
            now = time.monotonic()
            if now > self.deadline or now > self.end:
                raise Expired
            # What is attended to may fail by errors of the system, too: they are not the connection's.
            comes = self._attended is None or self._comes(self._attended)
            try:
                got = self._take(into, ahead, flags) if comes else None
            except OSError:
                raise Closed from None
            if got == 0:
                raise Closed
            if got is not None:
                return got

    def send(self, data: bytes) -> None:
        """Raises Closed, also where the peer does not take it in time."""
        try:
            self._put(data)
        except OSError:
            raise Closed from None

    def linger(self, seconds: float) -> None:
        """Sta13: says that no more will come, and waits a while for the peer to close.

        Closed at once, with bytes unread, TCP would reset, and the peer might never see what was sent last.
        """
        self.deadline = time.monotonic() + seconds
        self.end = math.inf
        scratch, let_go = memoryview(bytearray(65_536)), 0
        with suppress(OSError, Closed, Expired):
            self._socket.shutdown(socket.SHUT_WR)
            while let_go < _LINGER_BYTES_MAX:
                let_go += self.receive(scratch)

    def _take(self, into: memoryview, ahead: memoryview | None, flags: int) -> int | None:
        """One read; None where nothing came in a while. Raises OSError."""
        try:
            if ahead is None:
                return self._socket.recv_into(into, 0, flags)
            return self._socket.recvmsg_into((into, ahead), 0, flags)[0]
        except BlockingIOError:
            return None

    def _comes(self, attended: Attended) -> bool:
        """Whether there is something to read, after a while at most; attends to what else there is."""
        return attended.wait()

    def _put(self, data: bytes) -> None:
        """Raises OSError, also where it is not taken in time."""
        self._socket.sendall(data)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.close()

    def cut(self) -> None:
        """From another thread: whatever the connection's own thread waits for, it gets Closed."""
        with suppress(OSError):
            # The connection's own: that of ssl would go on without encryption.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def refuse(connected: socket.socket) -> None:
    """Resets a connection that there is no room for, and spends no memory on its end."""
    with suppress(OSError):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
