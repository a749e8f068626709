"""The listener for HL7: a thread for each connection, and a limit for everything."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from contextlib import suppress

import structlog

from producers.orders.config import Settings
from producers.orders.framing import Frames, Unframed, framed
from producers.orders.receiving import Receiver
from streams.config import ConfigError

# Over it the kernel drops who connects, and a good peer tries again after a second.
_BACKLOG = 1024
_POLL_S = 0.2
_STOP_S_MAX = 10.0
_TOO_LARGE = "207"


class Listener:
    """Listens from construction to `stop`. `port` is the one it has, where the configuration asked for 0."""

    def __init__(self, settings: Settings, receiver: Receiver) -> None:
        self._settings = settings
        self._receiver = receiver
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[socket.socket, str] = {}
        self._serving: set[threading.Thread] = set()
        try:
            self._socket = socket.create_server((settings.host, settings.port), backlog=_BACKLOG)
        except OSError as error:
            raise ConfigError(
                f"[orders] {settings.host}:{settings.port} cannot be listened on ({error.strerror}): "
                "stop what uses it, or set another port"
            ) from None
        self._socket.settimeout(_POLL_S)
        self._thread = threading.Thread(target=self._accept, name="listener")
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def stop(self) -> None:
        """Takes no new connections, lets messages that are being answered be answered, and closes the rest."""
        self._stopping.set()
        self._thread.join()
        self._socket.close()
        with self._lock:
            left, serving = list(self._open), list(self._serving)
        for peer in left:
            # No more is read; what is being answered can still be written.
            _shut(peer, socket.SHUT_RD)
        until_s = time.monotonic() + _STOP_S_MAX
        for thread in serving:
            thread.join(max(0.0, until_s - time.monotonic()))

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                peer, address = self._socket.accept()
            except TimeoutError:
                continue
            except OSError as error:
                # Too many open files, or a peer that is gone already: others are still to be served.
                structlog.get_logger().warning("accept_failed", error=error)
                self._stopping.wait(_POLL_S)
                continue
            if not self._admitted(peer, address[0]):
                peer.close()
                continue
            thread = threading.Thread(target=self._serve, args=(peer, address[0]), name="hl7", daemon=True)
            with self._lock:
                self._serving.add(thread)
            thread.start()

    def _admitted(self, peer: socket.socket, address: str) -> bool:
        settings = self._settings
        with self._lock:
            allowed = not settings.peers or address in settings.peers
            room = len(self._open) < settings.connections_max
            fair = Counter(self._open.values())[address] < settings.connections_per_peer_max
            if allowed and room and fair:
                self._open[peer] = address
                return True
        structlog.get_logger().warning("connection_refused", peer=address, allowed=allowed, room=room and fair)
        return False

    def _serve(self, peer: socket.socket, address: str) -> None:
        try:
            self._converse(peer, address)
        except OSError as error:
            structlog.get_logger().info("connection_lost", peer=address, error=error)
        finally:
            with self._lock:
                self._open.pop(peer, None)
                self._serving.discard(threading.current_thread())
            peer.close()

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
        peer.shutdown(how)
