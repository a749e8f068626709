"""The listener: it takes connections, gives each a thread, and ends them when it stops."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from typing import Final

import structlog

from producers.dicom_router.incoming_file import Door
from producers.dicom_router.stow import answer, request
from producers.dicom_router.stow.answer import Answer
from producers.dicom_router.stow.config import Settings
from producers.dicom_router.stow.connection import BadFraming, BadHead, Connection, Gone
from producers.dicom_router.stow.request import Accepted
from producers.dicom_router.stow.storing import Store, Storing
from streams import metrics
from streams.admission import Admission, Place, Shared
from streams.clock import Clock
from streams.networks import address_of, is_in, networks_of
from streams.peers.refusals import NOBODY_YET, Kind, Refusals
from streams.ports import Ports

# How long connections may take to end once they were cut.
_END_S_MAX: Final = 3.0
_PAUSE_S: Final = 0.1
_WHY: Final = {
    "address": "neither addresses nor an exception of [router.stow] let it in",
    "limit": "there are as many connections as there may be: of all, or of this address",
}


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
        refusals: Refusals,
        clock: Clock,
        ports: Ports | None = None,
        shared: Shared | None = None,
    ) -> None:
        self._settings = settings
        self._door = door
        self._store = store
        self._refusals = refusals
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
        peer, may_send = address[0], self._may_send(address[0])
        # Before a byte is read, and strangers have no room of their own: HTTP has no word for them that costs nothing.
        place = self._admission.connect(peer) if may_send else None
        if place is None:
            self._refuse(peer, "limit" if may_send else "address")
            connected.close()
            return
        connection = Connection(connected, self._settings.idle_timeout_s, self._settings.request_timeout_s)
        with self._changed:
            self._open.add(connection)
        thread = threading.Thread(target=self._serve, args=(connection, peer, place), name="stow-request", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            structlog.get_logger().error("no_thread_for_a_connection")
            # Not heard out: the port's own thread would wait for it.
            connection.cut()
            self._leave(connection, place)

    def _refuse(self, peer: str, why: str) -> None:
        metrics.STOW_CONNECTIONS_REFUSED.inc()
        self._refusals.note(Kind("stow.refused", NOBODY_YET, peer, why), _WHY[why])

    def _may_send(self, peer: str) -> bool:
        address = address_of(peer)
        if is_in(address, self._networks):
            return True
        today = self._clock.now().date()
        return any(one.address == address and today <= one.until for one in self._exceptions)

    def _serve(self, connection: Connection, peer: str, place: Place) -> None:
        """The life of one connection, in its own thread."""
        log = structlog.get_logger()
        try:
            # Whoever was told that another request may come is not closed on, also where we stop by then: `stop` does.
            while self._exchange(connection, peer, place):
                pass
        except Gone:
            pass
        except Exception:
            # Nobody planned this one. It ends one connection and nothing else.
            log.error("stow_failed", exc_info=True)
        finally:
            self._leave(connection, place)

    def _leave(self, connection: Connection, place: Place) -> None:
        connection.close()
        place.leave()
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def _exchange(self, connection: Connection, peer: str, place: Place) -> bool:
        """One request and its answer; whether another may come. Raises Gone."""
        try:
            answered = self._answer(connection, peer, place)
        except BadHead as error:
            answered = answer.of_text(error.status, "No HTTP request, or one with a larger head than is taken.")
        metrics.STOW_RESPONSES.labels(str(answered.http)).inc()
        return connection.answer(answered, last=self._stopping)

    def _answer(self, connection: Connection, peer: str, place: Place) -> Answer:
        """Raises Gone, BadHead."""
        head = connection.head()
        if not self._may_send(peer):
            # An exception ended since the connection was taken.
            self._refuse(peer, "address")
            raise Gone
        headers: dict[str, str] = {}
        for name, value in head.headers:
            known, said = name.decode("latin-1"), value.decode("latin-1")
            headers[known] = f"{headers[known]}, {said}" if known in headers else said
        asked = request.read(head.method.decode("latin-1"), head.target.decode("latin-1"), headers)
        if not isinstance(asked, Accepted):
            return answer.of_text(asked.status, asked.sentence, asked.headers)
        if not place.associate():
            return answer.try_again("As many requests as are taken at once are in hand.")
        try:
            return self._stored(connection, asked)
        finally:
            place.dissociate()

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
