"""A connection of HTTP: its head has an end, in bytes and in time, and so has a client's reading of answers."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_BYTES_MAX: Final = 64 << 10
# How long a connection that was refused is read and thrown away: closed at once, with bytes unread, the kernel resets
# it, and the other side may lose the answer that says why (RFC 9112 section 9.6).
_LINGER_S: Final = 2.0
# What a client reads on average of an answer, beyond a first silence. Who takes less holds memory for hours.
_BYTES_PER_S_MIN: Final = 64 << 10
# Connections at once: of all, and of one address. Each has a descriptor, of which the catalog's need some too.
CONNECTIONS_MAX: Final = 512
CONNECTIONS_PER_CLIENT_MAX: Final = 256
_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Connection(HttpToolsProtocol):
    """One that sends no head, or no end of one, is closed after the time that an idle one has (RFC 6585 section 5).

    Before any of it is an answer's: who may ask at all is known when the head is (`gateway.limits`).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_bytes, self._heads, self._is_in_body = 0, 0, False
        self._closing: asyncio.TimerHandle | None = None
        self._is_refused = False
        self._reading = _Reading(self)
        # Who sends the next request before an answer has several; uvicorn tells the newest alone that he is gone.
        self._cycles: list[RequestResponseCycle] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        clients = [one.client for one in self.connections if isinstance(one, Connection) and one.client]
        of_client = sum(self.client is not None and other[0] == self.client[0] for other in clients)
        if len(self.connections) > CONNECTIONS_MAX or of_client > CONNECTIONS_PER_CLIENT_MAX:
            transport.abort()
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        self._reading.ends()
        super().connection_lost(exc)
        for cycle in self._cycles:
            cycle.disconnected = not cycle.response_complete
            cycle.message_event.set()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading.waits()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._reading.goes_on()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        heads, was_in_body = self._heads, self._is_in_body
        super().data_received(data)
        if self.cycle is not None and self.cycle.response_complete:
            # The rest of a request that was answered before its end: uvicorn waits for it without end.
            self._expect_head()
        is_of_head = heads == self._heads and not was_in_body
        self._head_bytes = self._head_bytes + len(data) if is_of_head else 0
        if self._head_bytes > HEAD_BYTES_MAX and not self._is_in_body and not self.transport.is_closing():
            self._refuse()

    def _refuse(self) -> None:
        self._is_refused = True
        self.transport.write(_TOO_LARGE)
        self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._reading.begins()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._heads, self._is_in_body = self._heads + 1, True
        self._head_is_here()
        super().on_headers_complete()
        self._cycles = [one for one in (*self._cycles, self.cycle) if not one.response_complete]

    def on_message_complete(self) -> None:
        self._is_in_body = False
        super().on_message_complete()

    def _expect_head(self) -> None:
        if self._closing is None:
            self._closing = self.loop.call_later(self.timeout_keep_alive, self.transport.close)

    def _head_is_here(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None


class _Reading:
    """How a client reads its answers. One that reads too slowly is cut off: closing would wait for it to read on."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cutting: asyncio.TimerHandle | None = None
        self._since_s, self._waited_s, self._waiting_bytes, self._read_bytes = 0.0, 0.0, 0, 0

    def begins(self) -> None:
        """Another request: what was read before earns no patience with it."""
        self._waited_s, self._read_bytes = 0.0, 0

    def waits(self) -> None:
        """The buffer is full. Silence may be as long as a connection's, and what was read has to have been quick."""
        loop, silent_s = self._connection.loop, self._connection.timeout_keep_alive
        self._since_s, self._waiting_bytes = loop.time(), self._buffered()
        left_s = silent_s + self._read_bytes / _BYTES_PER_S_MIN - self._waited_s
        self._cutting = loop.call_later(max(0.0, min(silent_s, left_s)), self._connection.transport.abort)

    def goes_on(self) -> None:
        self.ends()
        self._waited_s += self._connection.loop.time() - self._since_s
        self._read_bytes += self._waiting_bytes - self._buffered()

    def ends(self) -> None:
        if self._cutting is not None:
            self._cutting.cancel()
            self._cutting = None

    def _buffered(self) -> int:
        return self._connection.transport.get_write_buffer_size()
