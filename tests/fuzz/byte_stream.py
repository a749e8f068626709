"""A socket that gives bytes out of memory, in pieces, and keeps what it is told."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat
from typing import Any


class ByteStream:
    """What the readers use of a socket. At the end of `data` its peer has closed."""

    def __init__(self, data: bytes, cuts: Iterator[int]) -> None:
        self.said = bytearray()
        self._data = memoryview(data)
        self._cuts = cuts
        self._left = 0

    def recv(self, size: int) -> bytes:
        return bytes(self._next(size))

    def recv_into(self, into: memoryview, size: int = 0, flags: int = 0) -> int:
        piece = self._next(size or len(into))
        into[: len(piece)] = piece
        return len(piece)

    def recvmsg_into(self, into: tuple[memoryview, ...], *_: int) -> tuple[int, list[Any], int, None]:
        piece = self._next(sum(map(len, into)))
        at = 0
        for one in into:
            part = piece[at : at + len(one)]
            one[: len(part)] = part
            at += len(part)
        return at, [], 0, None

    def sendall(self, data: bytes) -> None:
        self.said += data

    def settimeout(self, seconds: float | None) -> None:
        """Nobody waits for memory."""

    def setsockopt(self, *_: object) -> None:
        """There is nothing to set."""

    def shutdown(self, how: int) -> None:
        """There is nobody to hear it."""

    def close(self) -> None:
        """There is nothing to close."""

    def _next(self, size: int) -> memoryview:
        while not self._left and self._data:
            self._left = next(self._cuts)
        count = min(size, self._left, len(self._data))
        piece, self._data = self._data[:count], self._data[count:]
        self._left -= count
        return piece


def whole() -> Iterator[int]:
    """All at once."""
    return repeat(1 << 30)


def by_bytes() -> Iterator[int]:
    return repeat(1)


def by_itself(data: bytes) -> Iterator[int]:
    """Pieces as long as the data themselves say, so that what changes the data changes the cuts."""
    while True:
        yield from (1 + byte % 61 for byte in data or b"\0")


def pieces(data: bytes, cuts: Iterator[int]) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        length = next(cuts)
        yield data[at : at + length]
        at += length
