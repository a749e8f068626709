"""One HTTP connection (RFC 9112): what may come, how fast, and how it ends. The grammar is h11's."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import h11

from producers.dicom_router.stow.answer import Answer, Trouble

# A request's line and headers.
HEAD_BYTES_MAX: Final = 32 << 10
_READ_BYTES: Final = 256 << 10
# What a body must bring on average, beyond its first `idle_s`.
_BYTES_PER_S_MIN: Final = 1024
# A body in small pieces costs more than its bytes: beyond the first ones, a piece has to bring so much on average.
_PIECES: Final = 10_000
_PIECE_BYTES_MIN: Final = 64
# From the connection, or the answer before, to the whole head of a request.
_HEAD_S_MAX: Final = 10.0
_WRITE_S_MAX: Final = 10.0
# A peer that is still sending would not get the answer if the connection were closed at once.
_LINGER_S_MAX: Final = 2.0


class Gone(Exception):
    """The peer closed, or sends and reads nothing for too long between two requests: there is nobody to answer."""


class BadHead(Exception):
    """What came is no HTTP request; `status` is the answer to it."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class BadFraming(Exception):
    """The body did not come as it was announced, or not in time."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.sentence)
        self.trouble = trouble


class Connection:
    """Used by one thread, but for `cut` and `idle`."""

    def __init__(self, connected: socket.socket, idle_s: float, request_s: float) -> None:
        with suppress(OSError):  # The peer may be gone already: reading finds that out.
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connected
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
        self._idle_s = idle_s
        self._request_s = request_s
        # True while no request is in hand.
        self.idle = True
        self._begin(_HEAD_S_MAX, _HEAD_S_MAX)

    def head(self) -> h11.Request:
        """The next request, without its body. Raises Gone, BadHead."""
        self._begin(_HEAD_S_MAX, _HEAD_S_MAX)
        try:
            event = self._next()
        except h11.RemoteProtocolError as error:
            raise BadHead(error.error_status_hint) from None
        except (TimeoutError, OSError):
            raise Gone from None
        if not isinstance(event, h11.Request):
            raise Gone
        self.idle = False
        return event

    def body(self) -> bytes | None:
        """The next bytes of the body; None at its end. Raises BadFraming."""
        try:
            event = self._next()
        except h11.RemoteProtocolError:
            raise BadFraming(Trouble(400, "the body is not framed as HTTP has it, or ended early")) from None
        except TimeoutError:
            raise BadFraming(Trouble(408, "the body did not come in time")) from None
        except OSError:
            raise BadFraming(Trouble(400, "the connection was lost")) from None
        if not isinstance(event, h11.Data):
            return None
        self._pieces += 1
        if (self._pieces - _PIECES) * _PIECE_BYTES_MIN > self._came:
            raise BadFraming(Trouble(400, "the body comes in more and smaller chunks than are taken"))
        return bytes(event.data)

    def begin_body(self) -> None:
        """From here on time counts for the body."""
        self._begin(self._idle_s, self._request_s)
        if self._http.they_are_waiting_for_100_continue:
            with suppress(OSError):
                self._write(h11.InformationalResponse(status_code=100, headers=[]))

    def answer(self, answer: Answer, *, last: bool) -> bool:
        """Sends an answer; whether another request may come. Raises Gone."""
        unread = self._http.their_state is not h11.DONE
        last = last or unread
        headers = {
            "Content-Type": answer.media_type,
            "Content-Length": str(len(answer.body)),
            "X-Content-Type-Options": "nosniff",
            **answer.headers,
            **({"Connection": "close"} if last else {}),
        }
        phrase = HTTPStatus(answer.http).phrase
        try:
            self._write(h11.Response(status_code=answer.http, headers=list(headers.items()), reason=phrase.encode()))
            self._write(h11.Data(data=answer.body))
            self._write(h11.EndOfMessage())
        except (OSError, h11.LocalProtocolError):
            raise Gone from None
        if last or self._http.our_state is not h11.DONE:
            return False
        self.idle = True
        self._http.start_next_cycle()
        return True

    def close(self) -> None:
        """Lets the peer read what it was told, for a while, and closes."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
            end = time.monotonic() + _LINGER_S_MAX
            while (left := end - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if not self._socket.recv(_READ_BYTES):
                    break
        self._socket.close()

    def cut(self) -> None:
        """Ends it from another thread, whatever it is doing."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _begin(self, idle_s: float, total_s: float) -> None:
        self._silent_s_max = idle_s
        self._end = time.monotonic() + total_s
        self._waited_s = 0.0
        self._came = self._pieces = 0

    def _next(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """Raises OSError, TimeoutError among them, and h11.RemoteProtocolError."""
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(self._receive())
        return event

    def _receive(self) -> bytes:
        """What comes next; nothing where the peer closed. Raises OSError, TimeoutError among them."""
        started = time.monotonic()
        slack_s = self._silent_s_max + self._came / _BYTES_PER_S_MIN - self._waited_s
        allowed_s = min(self._silent_s_max, self._end - started, slack_s)
        if allowed_s <= 0:
            raise TimeoutError
        self._socket.settimeout(allowed_s)
        data = self._socket.recv(_READ_BYTES)
        self._waited_s += time.monotonic() - started
        self._came += len(data)
        return data

    def _write(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._socket.settimeout(_WRITE_S_MAX)
            self._socket.sendall(data)
