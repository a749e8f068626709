"""A connection under TLS that one thread reads while another one writes.

OpenSSL takes one call at a time for a connection, and Python does not see to that; reading here never waits inside a
call, so who writes need not wait for who reads.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from contextlib import suppress
from typing import Any

from streams.tls.reaching import NotSecured, Secured


class SecuredStream:
    """What pynetdicom needs of a socket, over one that is not connected yet. `failed` says why there is no TLS."""

    def __init__(self, plain: socket.socket, secured: Secured) -> None:
        self._plain = plain
        self._secured = secured
        self._tls: ssl.SSLSocket | None = None
        self._lock = threading.Lock()
        self._timeout_s: float | None = None
        self.failed: NotSecured | None = None

    def connect(self, address: Any) -> None:
        """Raises NotSecured, OSError. The timeout is of both, connection and handshake."""
        until_s = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        self._plain.settimeout(self._timeout_s)
        self._plain.connect(address)
        if until_s is not None:
            self._plain.settimeout(max(0.01, until_s - time.monotonic()))
        try:
            self._tls = self._secured.shake_hands(self._plain)
        except NotSecured as failed:
            self.failed = failed
            raise

    @property
    def certificate(self) -> ssl.SSLSocket | None:
        """What to ask about the peer, once connected."""
        return self._tls

    def pending(self) -> bool:
        """Whether bytes are there that were decrypted already, of which the kernel knows nothing."""
        with self._lock:
            return self._tls is not None and self._tls.pending() > 0

    def recv(self, size: int) -> bytes:
        """As of a socket. Raises OSError, TimeoutError."""
        until_s = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        while True:
            wants_write = False
            with self._lock:
                tls = self._secured_now()
                tls.settimeout(0)
                try:
                    return tls.recv(size)
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLWantWriteError:
                    wants_write = True
                except ssl.SSLError as error:
                    # Under TLS 1.3 a peer that does not take our certificate says so only now (RFC 8446 section 4.4.2).
                    self.failed = self._secured.failure(error)
                    raise self.failed from None
            self._wait(until_s, write=wants_write)

    def send(self, data: bytes) -> int:
        self.sendall(data)
        return len(data)

    def sendall(self, data: bytes) -> None:
        """As of a socket. Raises OSError, TimeoutError."""
        with self._lock:
            tls = self._secured_now()
            tls.settimeout(self._timeout_s)
            tls.sendall(data)

    def settimeout(self, seconds: float | None) -> None:
        self._timeout_s = seconds

    def setsockopt(self, *args: Any) -> None:
        (self._tls or self._plain).setsockopt(*args)

    def getsockname(self) -> Any:
        return (self._tls or self._plain).getsockname()

    def fileno(self) -> int:
        return (self._tls or self._plain).fileno()

    def shutdown(self, how: int) -> None:
        """Says close_notify first, where that can be said at once: the peer knows that nothing was cut off."""
        tls = self._tls
        if tls is not None and self._lock.acquire(blocking=False):
            try:
                tls.settimeout(0)
                with suppress(OSError, ValueError):
                    tls.unwrap()
            finally:
                self._lock.release()
        if tls is not None:
            socket.socket.shutdown(tls, how)
        else:
            self._plain.shutdown(how)

    def close(self) -> None:
        (self._tls or self._plain).close()

    def _secured_now(self) -> ssl.SSLSocket:
        if self._tls is None:
            raise OSError("not connected")
        return self._tls

    def _wait(self, until_s: float | None, *, write: bool) -> None:
        left_s = None if until_s is None else until_s - time.monotonic()
        if left_s is not None and left_s <= 0:
            raise TimeoutError
        try:
            select.select([] if write else [self], [self] if write else [], [], left_s)
        except ValueError:
            raise OSError("the connection was closed") from None
