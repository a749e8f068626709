"""Connections of a listener: from accepting one to the association in it, with TLS or without.

What pynetdicom lacks is added: a ceiling for a PDU, a deadline for one that has begun, a handshake that keeps nobody
waiting, and room for others where one peer opens many connections, or somebody does whom nothing could let in.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from socketserver import TCPServer
from typing import Any, cast

import structlog
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from streams.admission import Place
from streams.dimse.config import Listening
from streams.dimse.door import Door
from streams.tls.accepting import CLOSED, HandshakeFailed, shake_hands
from streams.tls.certificate import Certificate, certificate_of

PDU_BYTES_MAX = 1 << 20
# Requests that wait for the one that is answered. Without an asynchronous operations window a peer has one at a time.
REQUESTS_MAX = 16

# An association, a request of its peer and the context's ID: whether the request was served.
Serving = Callable[[Association, Any, int], bool]


class _Bounded(AssociationSocket):
    """Reads no PDU over the ceiling, none that takes longer than `pdu_timeout_s`, and none from a peer that asks on
    and on without waiting for answers. Knows who is there, by TLS.
    """

    pdu_timeout_s = 30.0
    certificate: Certificate | None = None
    begun_s = 0.0
    has_left = False
    _ended: str = ""

    def end(self, why: str) -> None:
        """Reads nothing more, which ends the association."""
        self._ended = why
        if self.socket is not None:
            with suppress(OSError):
                # The connection's own: that of ssl would go on without encryption.
                socket.socket.shutdown(self.socket, socket.SHUT_RD)

    def recv(self, nr_bytes: int) -> bytearray:
        if self._ended:
            raise OSError(self._ended)
        if nr_bytes > PDU_BYTES_MAX or self.socket is None:
            raise OSError("a PDU over the ceiling, or no connection")
        if self.assoc.dimse.msg_queue.qsize() >= REQUESTS_MAX:
            raise OSError("more requests than anybody waits for the answers of")
        data, until_s = bytearray(), time.monotonic() + self.pdu_timeout_s
        while len(data) < nr_bytes:
            if (left_s := until_s - time.monotonic()) <= 0:
                raise OSError("a PDU that does not end")
            self.socket.settimeout(left_s)
            if not (got := self.socket.recv(nr_bytes - len(data))):
                break
            data += got
        return data

    def _shutdown_socket(self) -> None:
        """Closes it also where the peer is gone, which pynetdicom's own leaves open; and where it went before it asked
        for an association, ends what waits for that, which pynetdicom's own does as the set-up times out.
        """
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()
        association: Any = self.assoc
        if not self.has_left and association.requestor.primitive is None:
            self.has_left = True
            cast(Server, association._server).door.left.add(association.place, self.begun_s)
            association.dul.to_user_queue.put(None)


class _Served(Association):
    """Requests that `serving` takes are its own; of long ones the peer's silence meanwhile is no idleness.

    `place` is the connection's, and kept for as long as the thread is there, or longer (`left`); that of the
    association ends with the thread in any case.
    """

    serving: Serving | None = None
    place: Place

    def run(self) -> None:
        try:
            super().run()
        finally:
            # Also where its connection was closed, and its place let go, before the request was read.
            self.place.dissociate()
            if not cast(_Bounded, self.dul.socket).has_left:
                self.place.leave()

    def _serve_request(self, msg: Any, context_id: int) -> None:
        taken = self.serving is not None and msg.is_valid_request and self.serving(self, msg, context_id)
        if not taken:
            super()._serve_request(msg, context_id)
        self.dul._idle_timer.restart()


class _Handler(RequestHandler):
    certificate: Certificate | None = None

    def handle(self) -> None:
        """In a thread of its own, so that a handshake keeps nobody waiting."""
        server, begun = cast(Server, self.server), False
        self._place = server.place_of(self.request)
        try:
            if not server.by_tls or self._is_secured():
                super().handle()
                begun = True
        finally:
            if not begun:
                server.shutdown_request(self.request)
                self._place.leave()

    def _is_secured(self) -> bool:
        server = cast(Server, self.server)
        address, settings = str(self.client_address[0]), server.settings
        try:
            context = server.door.trust.context
            assert context is not None  # noqa: S101 - there is a port for it
            self.request = context.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
            shake_hands(self.request, settings.set_up_timeout_s)
            self.certificate = certificate_of(self.request)
        except HandshakeFailed as failed:
            if failed.kind != CLOSED:
                server.door.refusals.no_handshake(address, failed.kind, failed.why)
            return False
        except OSError:
            return False
        self.request.settimeout(settings.idle_timeout_s)
        return True

    def _create_association(self) -> Association:
        association = super()._create_association()
        # pynetdicom makes its parts itself, so this one changes class.
        connection = cast(Any, association.dul.socket)
        connection.__class__ = _Bounded
        connection.pdu_timeout_s = cast(Server, self.server).settings.pdu_timeout_s
        connection.certificate = self.certificate
        connection.begun_s = time.monotonic()
        served = cast(Any, association)
        served.__class__ = _Served
        served.serving = cast(Server, self.server).serving
        served.place = self._place
        return association


class Server(ThreadedAssociationServer):
    daemon_threads = True
    # Over it the kernel drops who connects, and a good peer tries again after a second.
    request_queue_size = 1024

    def __init__(
        self,
        settings: Listening,
        door: Door,
        entity: AE,
        handlers: list[evt.EventHandlerType],
        serving: Serving | None,
        *,
        by_tls: bool,
    ) -> None:
        self.settings = settings
        self.door = door
        self.by_tls = by_tls
        self.serving = serving
        self._places: dict[socket.socket, Place] = {}
        tls = settings.tls if by_tls else None
        super().__init__(
            entity,
            (settings.host, settings.port if tls is None else tls.port),
            settings.ae_title,
            entity.supported_contexts,
            evt_handlers=handlers,
            request_handler=_Handler,
        )

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, where there is room for it; else it is closed at once, and nothing of it is read."""
        place = self.door.enter(str(client_address[0]), by_tls=self.by_tls)
        if place is None:
            self.shutdown_request(request)
            return
        self._places[request] = place
        try:
            super().process_request(request, client_address)
        except RuntimeError:
            structlog.get_logger().error("no_thread_for_a_connection")
            self.place_of(request).leave()
            self.shutdown_request(request)

    def place_of(self, request: socket.socket) -> Place:
        """Is its thread's from now on."""
        return self._places.pop(request)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self.settings.idle_timeout_s)
        return connection, address

    def shutdown(self) -> None:
        """Stops listening; the associations that are there go on. Waits for the serving thread."""
        TCPServer.shutdown(self)
        self.server_close()
