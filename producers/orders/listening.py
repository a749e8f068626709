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
from producers.orders.door import Door
from producers.orders.framing import Frames, Unframed, framed
from producers.orders.receiving import Receiver
from streams.config import ConfigError
from streams.networks import counted_as
from streams.ports import Ports
from streams.tls.accepting import HandshakeFailed, shake_hands
from streams.tls.certificate import certificate_of

_STOP_S_MAX = 10.0
_TOO_LARGE = "207"


class Listener:
    """Listens from construction to `stop`. `port` is the one it has, where the configuration asked for 0; `tls_port`,
    where it has one, is for TLS alone.
    """

    def __init__(self, settings: Settings, receiver: Receiver, door: Door) -> None:
        self._settings = settings
        self._receiver = receiver
        self._door = door
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        # Whose each is (`networks.counted_as`).
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
        if not self._admitted(peer, address[0], by_tls):
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

    def _admitted(self, peer: socket.socket, address: str, by_tls: bool) -> bool:
        settings, door, whose = self._settings, self._door, counted_as(address)
        if not (door.admits_by_tls(address, None) if by_tls else door.admits(address)):
            return False
        with self._lock:
            room = len(self._open) < settings.connections_max
            fair = Counter(self._open.values())[whose] < settings.of_one_address_max
            if room and fair:
                self._open[peer] = whose
                return True
        door.full(address)
        return False

    def _serve(self, peer: socket.socket, address: str, by_tls: bool) -> None:
        try:
            if by_tls:
                secured = self._wrapped(peer)
                peer = secured
                shake_hands(secured, self._settings.message_timeout_s)
                certificate = certificate_of(secured)
                self._converse(peer, address, lambda: self._door.admits_by_tls(address, certificate))
            else:
                self._converse(peer, address, lambda: self._door.admits(address))
        except HandshakeFailed as failed:
            self._door.no_handshake(address, failed)
        except OSError as error:
            structlog.get_logger().info("connection_lost", peer=address, error=error)
        finally:
            with self._lock:
                self._open.pop(peer, None)
                self._serving.discard(threading.current_thread())
            peer.close()

    def _wrapped(self, peer: socket.socket) -> ssl.SSLSocket:
        """Its place is kept while the connection changes hands. Raises OSError where it is gone already."""
        context = self._door.served.context
        assert context is not None  # noqa: S101 - there is a port for it
        with self._lock:
            whose = self._open.pop(peer)
            secured = context.wrap_socket(peer, server_side=True, do_handshake_on_connect=False)
            self._open[secured] = whose
        return secured

    def _converse(self, peer: socket.socket, address: str, may_go_on: Callable[[], bool]) -> None:
        if not may_go_on():
            return
        settings = self._settings
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        frames = Frames(peer, settings.message_bytes_max, settings.message_timeout_s, settings.idle_timeout_s)
        try:
            while not self._stopping.is_set() and (message := frames.next()) is not None and may_go_on():
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
