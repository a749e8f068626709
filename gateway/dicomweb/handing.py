"""One request, handed to the router as it comes: never here as a whole, and not faster than the router takes it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import closing, suppress
from http.client import HTTPException
from typing import Final

import anyio.from_thread
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util import parse_url
from urllib3.util.wait import wait_for_read

from streams import keepalive
from streams.s3_clients import PUT_BYTES_PER_S_MIN

# The router stores each part before it reads on; and answers when the last is stored. What came before may be one part
# that is not stored yet, so both are beyond the time that it may take to store the largest that there can be in that.
_TAKEN_S_MAX = 60.0
_ANSWERED_S_MAX: Final = 120.0
# [router] object_bytes_max may be no more.
_PART_BYTES_MAX = 4 << 30
_OPTIONS: Final = [*HTTPConnection.default_socket_options, *keepalive.OPTIONS]


class RouterAway(Exception):
    """It does not answer, or no longer. The text is the kind of the error."""


class _Answered(Exception):
    """There is an answer already: the rest of the body is not wanted."""


class Handing:
    """`url` is that of the router's STOW-RS."""

    def __init__(self, url: str) -> None:
        self._url = parse_url(url.rstrip("/"))

    def answer(self, path: str, headers: Mapping[str, str], pieces: AsyncGenerator[bytes]) -> urllib3.BaseHTTPResponse:
        """What the router says to a body; called in a thread of the event loop's that gives `pieces`.

        Raises RouterAway, and what the pieces raise: then the router has what came before.
        """
        with closing(self._connection()) as connection:
            try:
                return self._sent(connection, path, headers, pieces)
            except (OSError, HTTPException, urllib3.exceptions.HTTPError) as error:
                raise RouterAway(type(error).__name__) from None

    def _connection(self) -> HTTPConnection:
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        return kind(str(self._url.host), self._url.port, timeout=_TAKEN_S_MAX, socket_options=_OPTIONS)

    def _sent(
        self, connection: HTTPConnection, path: str, headers: Mapping[str, str], pieces: AsyncGenerator[bytes]
    ) -> urllib3.BaseHTTPResponse:
        connection.connect()
        body = _Body(connection, pieces)
        # The router may answer, and close, before the end of a body that it cannot take.
        with suppress(_Answered, BrokenPipeError, ConnectionResetError):
            connection.request("POST", f"{self._url.path or ''}{path}", body.pieces(), headers)
        connection.timeout = _ANSWERED_S_MAX + body.stored_s_max
        return connection.getresponse()


class _Body:
    """What a client sends."""

    def __init__(self, connection: HTTPConnection, pieces: AsyncGenerator[bytes]) -> None:
        self._handed_bytes = 0
        self._connection = connection
        self._pieces = pieces

    @property
    def stored_s_max(self) -> float:
        """How long a router may need to store what it has not stored yet of what was handed to it."""
        return min(self._handed_bytes, _PART_BYTES_MAX) / PUT_BYTES_PER_S_MIN

    def pieces(self) -> Iterator[bytes]:
        """Asks the client for the next piece when the router has taken the one before."""
        while piece := anyio.from_thread.run(_next, self._pieces):
            if _has_answer(self._connection):
                raise _Answered
            self._connection.sock.settimeout(_TAKEN_S_MAX + self.stored_s_max)
            self._handed_bytes += len(piece)
            yield piece


def _has_answer(connection: HTTPConnection) -> bool:
    """In TLS something else comes unasked too, such as tickets (RFC 8446 section 4.6.1): there an early answer is found
    when no more of the body is taken."""
    return not isinstance(connection, HTTPSConnection) and wait_for_read(connection.sock, 0)


async def _next(pieces: AsyncGenerator[bytes]) -> bytes:
    """Empty at the end, and never before."""
    async for piece in pieces:
        if piece:
            return piece
    return b""
