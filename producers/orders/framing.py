"""MLLP: messages between a start block (0B) and an end block (1C 0D), out of a stream that may never end.

Source: HL7 "Transport Specification: MLLP", release 1.
"""

from __future__ import annotations

import socket
import time
from typing import Final

START: Final = b"\x0b"
END: Final = b"\x1c"
_CHUNK: Final = 65_536
_NOISE: Final = b"\r\n\x00 "
# Of a message that cannot be taken: its MSH, for the answer.
_HEAD_BYTES: Final = 1024


class Unframed(Exception):
    """The connection cannot go on. `head` is how its last message begins, where it had begun. The text is our own."""

    def __init__(self, why: str, head: bytes = b"") -> None:
        super().__init__(why)
        self.why = why
        self.head = head


class Frames:
    """The messages of one connection, one after the other."""

    def __init__(self, peer: socket.socket, message_bytes_max: int, message_timeout_s: float, idle_s: float) -> None:
        self._peer = peer
        self._bytes_max = message_bytes_max
        self._message_s = message_timeout_s
        self._idle_s = idle_s
        self._rest = b""

    def next(self) -> bytes | None:
        """The next message; None where the peer closed between two. Raises Unframed, OSError."""
        if not self._begun():
            return None
        data, until_s = bytearray(self._rest[1:]), time.monotonic() + self._message_s
        searched = 0
        while (end := self._end(data, searched)) < 0:
            searched = len(data)
            if not (more := self._read(until_s - time.monotonic())):
                raise Unframed("a message does not end", bytes(data[:_HEAD_BYTES]))
            data += more
        self._rest = bytes(data[end + 1 :])
        return bytes(data[:end])

    def _end(self, data: bytearray, searched: int) -> int:
        """Where the message ends, or -1. Whatever comes first counts, so that it does not matter what came together:
        a message that lost its end must not be read as one with the next. Raises Unframed.
        """
        end = data.find(END, searched)
        stop = len(data) if end < 0 else end
        if data.find(START, searched, min(stop, self._bytes_max)) >= 0:
            raise Unframed("a message begins inside another", bytes(data[:_HEAD_BYTES]))
        if stop > self._bytes_max:
            raise Unframed(f"a message has more than {self._bytes_max} bytes", bytes(data[:_HEAD_BYTES]))
        return end

    def _begun(self) -> bool:
        """Waits for a start block. Line ends between messages are nothing; all else is no MLLP."""
        until_s = time.monotonic() + self._idle_s
        self._rest = self._rest.lstrip(_NOISE)
        while not self._rest:
            if not (more := self._read(until_s - time.monotonic())):
                return False
            self._rest = more.lstrip(_NOISE)
        if not self._rest.startswith(START):
            raise Unframed("what is sent does not begin with a start block")
        return True

    def _read(self, left_s: float) -> bytes:
        """What there is, or nothing at the end, or where the time is over."""
        if left_s <= 0:
            return b""
        self._peer.settimeout(left_s)
        try:
            return self._peer.recv(_CHUNK)
        except TimeoutError:
            return b""


def framed(message: bytes) -> bytes:
    return START + message + END + b"\r"
