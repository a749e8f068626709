"""A transport connection under TLS, as its server (PS3.15 annex B.12, PS3.8 section 9.1)."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import suppress

from producers.dicom_router.upper_layer.connection import SEND_S_MAX, TICK_S, Attended, Closed, Connection, Expired
from streams.tls.accepting import HandshakeFailed, failure

# The first byte of a TLS record that begins a handshake (RFC 8446 section 5.1), and of an A-ASSOCIATE-RQ.
_HANDSHAKE, _ASSOCIATE_RQ = 0x16, 0x01


class TlsConnection(Connection):
    """`await_hello` and `handshake` come first, in the connection's own thread; until then nothing of TLS is there."""

    def __init__(self, connected: socket.socket, context: ssl.SSLContext) -> None:
        super().__init__(connected)
        self._context = context

    def await_hello(self) -> None:
        """Until the peer begins TLS. Raises HandshakeFailed where it begins something else, Closed, Expired."""
        first = bytearray(1)
        self.receive(memoryview(first), flags=socket.MSG_PEEK)
        if first[0] == _ASSOCIATE_RQ:
            raise HandshakeFailed("not_tls", "DICOM without TLS came to the port for TLS")
        if first[0] != _HANDSHAKE:
            raise HandshakeFailed("not_tls", "something that is not TLS came to the port for TLS")

    def handshake(self) -> ssl.SSLSocket:
        """The connection, to be asked for the peer's certificate. Raises HandshakeFailed, Closed, Expired."""
        try:
            secured = self._context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)
            # A timeout of Python's own: where the kernel's runs out, the ssl module would ask again for ever.
            secured.settimeout(TICK_S)
            self._socket = secured
            self._shake_hands(secured)
        except ssl.SSLError as error:
            raise failure(error) from None
        except (OSError, ValueError):
            raise Closed from None
        return secured

    def linger(self, seconds: float) -> None:
        """Says close_notify first (RFC 8446 section 6.1): the peer knows that nothing was cut off."""
        if isinstance(self._socket, ssl.SSLSocket):
            with suppress(OSError, ValueError):
                self._socket.unwrap()
        super().linger(seconds)

    def _shake_hands(self, secured: ssl.SSLSocket) -> None:
        while True:
            try:
                secured.do_handshake()
            except TimeoutError:
                if time.monotonic() > min(self.deadline, self.end):
                    raise Expired from None
            else:
                return

    def _take(self, into: memoryview, ahead: memoryview | None, flags: int) -> int | None:
        """At most a record at a time; there is nothing to gain from reading ahead (`recvmsg_into` is not for TLS)."""
        if not isinstance(self._socket, ssl.SSLSocket):
            return super()._take(into, None, flags)
        try:
            return self._socket.recv_into(into)
        except TimeoutError:
            return None

    def _comes(self, attended: Attended) -> bool:
        """What is decrypted already can be read, whatever the socket says."""
        decrypted = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        return attended.wait(0.0 if decrypted else TICK_S) or decrypted

    def _put(self, data: bytes) -> None:
        self._socket.settimeout(SEND_S_MAX)
        try:
            super()._put(data)
        finally:
            self._socket.settimeout(TICK_S)
