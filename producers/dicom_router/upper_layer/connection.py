"""A transport connection with deadlines (PS3.8 section 9.1): one thread reads and writes it, blocking.

Deadlines are absolute. The kernel wakes a read that got nothing a few times a second, so a deadline that another thread
moves is seen soon, and no read pays for a timer of its own. TLS docks here: an SSLSocket has `recv_into` alone.
"""

from __future__ import annotations

import math
import socket
import struct
import time
from contextlib import suppress
from typing import Final

_TICK_S: Final = 0.25
# A response is some 200 bytes. Who does not take them for so long takes nothing any more.
_SEND_S_MAX: Final = 10.0
_LINGER_BYTES_MAX: Final = 64 << 20


class Closed(Exception):
    """The peer closed the connection, or it broke."""


class Expired(Exception):
    """A deadline passed."""


class Connection:
    """`deadline` and `end` are on the monotonic clock, in seconds; either ends a read by Expired.

    `deadline` belongs to the thread of the connection, `end` may be set by others.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self.deadline = math.inf
        self.end = math.inf

    def prepare(self) -> None:
        """Before anything else. Raises OSError where the connection is gone already."""
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(_TICK_S))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(_SEND_S_MAX))

    def receive(self, into: memoryview, ahead: memoryview | None = None) -> int:
        """Takes what is there, at least a byte; what is more than `into` holds goes to `ahead`. Bytes taken.

        Raises Closed, Expired.
        """
        while True:
            try:
                got = self._socket.recv_into(into) if ahead is None else self._socket.recvmsg_into((into, ahead))[0]
            except BlockingIOError:
                got = None
            except OSError:
                raise Closed from None
            if got == 0:
                raise Closed
            now = time.monotonic()
            if now > self.deadline or now > self.end:
                raise Expired
            if got is not None:
                return got

    def send(self, data: bytes) -> None:
        """Raises Closed, also where the peer does not take it in time."""
        try:
            self._socket.sendall(data)
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

    def close(self) -> None:
        with suppress(OSError):
            self._socket.close()

    def cut(self) -> None:
        """From another thread: whatever the connection's own thread waits for, it gets Closed."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def refuse(connected: socket.socket) -> None:
    """Resets a connection that there is no room for, and spends no memory on its end."""
    with suppress(OSError):
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connected.close()


def _timeval(seconds: float) -> bytes:
    return struct.pack("ll", int(seconds), int(seconds % 1 * 1_000_000))
