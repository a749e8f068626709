"""The listener for HL7: a thread for each connection, and a limit for everything."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from producers.orders.config import Settings
from producers.orders.framing import Frames, Unframed, framed
from producers.orders.receiving import Receiver
from streams.config import ConfigError
from streams.networks import address_of, is_in, networks_of
from streams.ports import Ports
from streams.tls.accepting import HandshakeFailed, shake_hands
from streams.tls.certificate import certificate_of

_STOP_S_MAX = 10.0
_TOO_LARGE = "207"


class Listener:
    """Listens from construction to `stop`. `port` is the one it has, where the configuration asked for 0; `tls_port`,
    where it has one, is for TLS alone. `ours` gives our side of TLS for the next connection.
    """

    def __init__(
        self, settings: Settings, receiver: Receiver, ours: Callable[[], ssl.SSLContext | None] = lambda: None
    ) -> None:
        self._settings = settings
        self._receiver = receiver
        self._ours = ours
        self._networks = networks_of(settings.addresses)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[socket.socket, str] = {}
        self._serving: set[threading.Thread] = set()
        ports = Ports()
        self._port = ports.open("hl7", settings.host, settings.port, section="orders")
        self._secured = None
        if settings.tls is not None:
            try:
                self._secured = ports.open("hl7.tls", settings.tls.host, settings.tls.port, section="orders")
            except ConfigError:
                self._port.close()
                raise
            self._secured.start(partial(self._take, by_tls=True))
        self._port.start(partial(self._take, by_tls=False))

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def tls_port(self) -> int | None:
        return None if self._secured is None else self._secured.number

    def stop(self) -> None:
        """Takes no new connections, lets messages that are being answered be answered, and closes the rest."""
        self._stopping.set()
        for port in (self._port, self._secured):
            if port is not None:
                port.close()
        with self._lock:
            left, serving = list(self._open), list(self._serving)
        for peer in left:
            # No more is read; what is being answered can still be written.
            _shut(peer, socket.SHUT_RD)
        until_s = time.monotonic() + _STOP_S_MAX
        for thread in serving:
            thread.join(max(0.0, until_s - time.monotonic()))

    def _take(self, peer: socket.socket, address: Any, by_tls: bool) -> None:
        if not self._admitted(peer, address[0]):
            peer.close()
            return
        thread = threading.Thread(target=self._serve, args=(peer, address[0], by_tls), name="hl7", daemon=True)
        with self._lock:
            self._serving.add(thread)
        try:
            thread.start()
        except RuntimeError:
            structlog.get_logger().error("no_thread_for_a_connection")
            with self._lock:
                self._open.pop(peer, None)
                self._serving.discard(thread)
            peer.close()

    def _admitted(self, peer: socket.socket, address: str) -> bool:
        settings = self._settings
        allowed = is_in(address_of(address), self._networks)
        with self._lock:
            room = len(self._open) < settings.connections_max
            fair = Counter(self._open.values())[address] < settings.connections_per_peer_max
            if allowed and room and fair:
                self._open[peer] = address
                return True
        structlog.get_logger().warning("connection_refused", peer=address, allowed=allowed, room=room and fair)
        return False

    def _serve(self, peer: socket.socket, address: str, by_tls: bool) -> None:
        try:
            if by_tls:
                peer = self._wrapped(peer, address)
                self._shake_hands(peer)
            self._converse(peer, address)
        except HandshakeFailed as failed:
            structlog.get_logger().warning("tls_refused", peer=address, why=failed.kind, reason=failed.why)
        except OSError as error:
            structlog.get_logger().info("connection_lost", peer=address, error=error)
        finally:
            with self._lock:
                self._open.pop(peer, None)
                self._serving.discard(threading.current_thread())
            peer.close()

    def _wrapped(self, peer: socket.socket, address: str) -> socket.socket:
        """Its place is kept while the connection changes hands. Raises OSError where it is gone already."""
        context = self._ours()
        assert context is not None  # noqa: S101 - there is a port for it
        with self._lock:
            self._open.pop(peer)
            secured = context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
            self._open[secured] = address
        return secured

    def _shake_hands(self, peer: socket.socket) -> None:
        """Raises HandshakeFailed, also where the certificate is of somebody who sends no orders."""
        tls = self._settings.tls
        assert tls is not None and isinstance(peer, ssl.SSLSocket)  # noqa: S101, PT018 - as above
        shake_hands(peer, self._settings.message_timeout_s)
        if not tls.knows(certificate_of(peer)):
            raise HandshakeFailed("certificate", "neither common_names nor fingerprints of [orders.tls] have it")

    def _converse(self, peer: socket.socket, address: str) -> None:
        settings = self._settings
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        frames = Frames(peer, settings.message_bytes_max, settings.message_timeout_s, settings.idle_timeout_s)
        try:
            while not self._stopping.is_set() and (message := frames.next()) is not None:
                self._say(peer, self._receiver.answer(message, address))
        except Unframed as error:
            structlog.get_logger().warning("connection_closed", peer=address, why=error.why)
            if error.head:
                self._say(peer, self._receiver.told(error.head, address, _TOO_LARGE, error.why))
                _shut(peer, socket.SHUT_WR)

    def _say(self, peer: socket.socket, answer: bytes) -> None:
        peer.settimeout(self._settings.message_timeout_s)
        peer.sendall(framed(answer))


def _shut(peer: socket.socket, how: int) -> None:
    with suppress(OSError):  # it may be gone already
        # The connection's own: that of ssl would go on without encryption.
        socket.socket.shutdown(peer, how)
