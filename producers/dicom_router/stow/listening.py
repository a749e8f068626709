"""The listener: it takes connections, gives each a thread, and ends them when it stops."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

import structlog

from producers.dicom_router.admission import Admission, Shared
from producers.dicom_router.incoming_file import Door
from producers.dicom_router.stow import answer, request
from producers.dicom_router.stow.answer import Answer
from producers.dicom_router.stow.config import Settings
from producers.dicom_router.stow.connection import BadFraming, BadHead, Connection, Gone
from producers.dicom_router.stow.request import Accepted
from producers.dicom_router.stow.storing import Store, Storing
from streams import metrics
from streams.clock import Clock
from streams.networks import address_of, is_in, networks_of
from streams.ports import Ports

# How long connections may take to end once they were cut.
_END_S_MAX: Final = 3.0
_PAUSE_S: Final = 0.1


class StowListener:
    """Its port is open from construction to `close`, and requests are taken from `start` on. `port` is the one it has,
    where the configuration asked for 0.

    Raises ConfigError for an address that cannot be had.
    """

    def __init__(
        self,
        settings: Settings,
        door: Door,
        store: Store,
        clock: Clock,
        ports: Ports | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._settings = settings
        self._door = door
        self._store = store
        self._clock = clock
        self._networks = networks_of(settings.addresses)
        self._exceptions = settings.exceptions
        self._admission = Admission(settings.requests_max, settings.of_one_address_max, shared, "stow")
        self._changed = threading.Condition()
        self._open: set[Connection] = set()
        self._stopping = False
        self._closed_at = 0.0
        self._port = (ports or Ports()).open("stow", settings.host, settings.port, section="router.stow")

    @property
    def port(self) -> int:
        return self._port.number

    def start(self) -> None:
        """Requests are taken from now on."""
        self._port.start(self._take)

    def close(self) -> None:
        """Takes no more requests; those in hand go on."""
        if self._stopping:
            return
        self._stopping = True
        self._closed_at = time.monotonic()
        self._port.close()

    def stop(self, timeout_s: float, *, gently: bool = False) -> None:
        """Closes, lets requests in hand come to their end within so many seconds of that, then cuts them.

        Connections without a request are cut at once; `gently`, they have the same time for one.
        """
        self.close()
        deadline = self._closed_at + timeout_s
        with self._changed:
            while self._open and (left_s := deadline - time.monotonic()) > 0:
                self._cut(lambda connection: connection.idle and not gently)
                self._changed.wait(min(left_s, _PAUSE_S))
            cut = len(self._open)
            self._cut(lambda _: True)
            self._changed.wait_for(lambda: not self._open, _END_S_MAX)
        structlog.get_logger().info("stow_stopped", connections_cut=cut)

    def _cut(self, wanted: Callable[[Connection], bool]) -> None:
        for connection in self._open:
            if wanted(connection):
                connection.cut()

    def _take(self, connected: socket.socket, address: tuple[str, int]) -> None:
        peer = address[0]
        if not self._may_send(peer) or not self._admission.connect(peer):
            metrics.STOW_CONNECTIONS_REFUSED.inc()
            connected.close()
            return
        connection = Connection(connected, self._settings.idle_timeout_s, self._settings.request_timeout_s)
        with self._changed:
            self._open.add(connection)
        thread = threading.Thread(target=self._serve, args=(connection, peer), name="stow-request", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            structlog.get_logger().error("no_thread_for_a_connection")
            self._leave(connection, peer)

    def _may_send(self, peer: str) -> bool:
        address = address_of(peer)
        if is_in(address, self._networks):
            return True
        today = self._clock.now().date()
        return any(one.address == address and today <= one.until for one in self._exceptions)

    def _serve(self, connection: Connection, peer: str) -> None:
        """The life of one connection, in its own thread."""
        log = structlog.get_logger()
        try:
            while not self._stopping and self._exchange(connection, peer):
                pass
        except Gone:
            pass
        except Exception:
            # Nobody planned this one. It ends one connection and nothing else.
            log.error("stow_failed", exc_info=True)
        finally:
            self._leave(connection, peer)

    def _leave(self, connection: Connection, peer: str) -> None:
        connection.close()
        self._admission.disconnect(peer)
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def _exchange(self, connection: Connection, peer: str) -> bool:
        """One request and its answer; whether another may come. Raises Gone."""
        try:
            answered = self._answer(connection, peer)
        except BadHead as error:
            answered = answer.of_text(error.status, "No HTTP request, or one with a larger head than is taken.")
        metrics.STOW_RESPONSES.labels(str(answered.http)).inc()
        return connection.answer(answered, last=self._stopping)

    def _answer(self, connection: Connection, peer: str) -> Answer:
        """Raises Gone, BadHead."""
        head = connection.head()
        if not self._may_send(peer):
            # An exception ended since the connection was taken.
            metrics.STOW_CONNECTIONS_REFUSED.inc()
            raise Gone
        headers: dict[str, str] = {}
        for name, value in head.headers:
            known, said = name.decode("latin-1"), value.decode("latin-1")
            headers[known] = f"{headers[known]}, {said}" if known in headers else said
        asked = request.read(head.method.decode("latin-1"), head.target.decode("latin-1"), headers)
        if not isinstance(asked, Accepted):
            return answer.of_text(asked.status, asked.sentence, {"Allow": asked.allow} if asked.allow else {})
        if not self._admission.associate(peer):
            return answer.try_again("As many requests as are taken at once are in hand.")
        try:
            return self._stored(connection, asked)
        finally:
            self._admission.dissociate(peer)

    def _stored(self, connection: Connection, asked: Accepted) -> Answer:
        with closing(Storing(asked, self._door, self._store)) as storing:
            connection.begin_body()
            try:
                while (data := connection.body()) is not None:
                    if not storing.write(data):
                        break
            except BadFraming as error:
                return storing.end(error.trouble)
            return storing.end()
