"""The application entity of worklist and performed steps: its contexts, its limits, and how it stops.

pynetdicom's own upper layer serves it: a scanner asks a few times a minute. What pynetdicom lacks is added: a ceiling
for a PDU, a deadline for one that has begun, and room for others where one peer opens many associations.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from socketserver import TCPServer
from typing import Any, cast

import structlog
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from producers.worklist.config import Settings
from producers.worklist.trust import Trust
from streams import metrics
from streams.config import ConfigError
from streams.sop_classes import PERFORMED_PROCEDURE_STEP, VERIFICATION
from streams.stored_file import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from streams.tls.accepting import HandshakeFailed, shake_hands
from streams.tls.certificate import Certificate, certificate_of

MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"
PDU_BYTES_MAX = 1 << 20
_POLL_S = 0.1


class _Bounded(AssociationSocket):
    """Reads no PDU over the ceiling, and none that takes longer than `pdu_timeout_s`. Knows who is there, by TLS."""

    pdu_timeout_s = 30.0
    certificate: Certificate | None = None

    def recv(self, nr_bytes: int) -> bytearray:
        if nr_bytes > PDU_BYTES_MAX or self.socket is None:
            raise OSError("a PDU over the ceiling, or no connection")
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
        """Closes it also where the peer is gone, which pynetdicom's own leaves open."""
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()


class _Handler(RequestHandler):
    certificate: Certificate | None = None

    def handle(self) -> None:
        """In a thread of its own, so that a handshake keeps nobody waiting."""
        if cast(_Server, self.server).by_tls and not self._is_secured():
            self.server.shutdown_request(self.request)
            return
        super().handle()

    def _is_secured(self) -> bool:
        server = cast(_Server, self.server)
        address, settings = str(self.client_address[0]), server.settings
        try:
            with server.shaking_hands(address):
                context = server.trust.served.context() if server.trust.served else None
                assert context is not None  # noqa: S101 - there is a port for it
                self.request = context.wrap_socket(self.request, server_side=True, do_handshake_on_connect=False)
                shake_hands(self.request, settings.set_up_timeout_s)
                self.certificate = certificate_of(self.request)
        except HandshakeFailed as failed:
            structlog.get_logger().warning("tls_refused", peer=address, why=failed.kind, reason=failed.why)
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
        connection.pdu_timeout_s = cast(_Server, self.server).settings.pdu_timeout_s
        connection.certificate = self.certificate
        return association


class _Server(ThreadedAssociationServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(
        self, settings: Settings, trust: Trust, entity: AE, handlers: list[evt.EventHandlerType], *, by_tls: bool
    ) -> None:
        self.settings = settings
        self.trust = trust
        self.by_tls = by_tls
        self._lock = threading.Lock()
        self._shaking: Counter[str] = Counter()
        tls = settings.tls if by_tls else None
        super().__init__(
            entity,
            (settings.host, settings.port if tls is None else tls.port),
            settings.ae_title,
            entity.supported_contexts,
            evt_handlers=handlers,
            request_handler=_Handler,
        )

    @contextmanager
    def shaking_hands(self, address: str) -> Iterator[None]:
        """Counts it among its address's until it is an association."""
        with self._lock:
            self._shaking[address] += 1
        try:
            yield
        finally:
            with self._lock:
                self._shaking[address] -= 1

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """A peer that is not expected, or has too many associations, gets none; its connection is closed at once."""
        address, settings = str(client_address[0]), self.settings
        peers = Counter(one.requestor.address for one in self.ae.active_associations)
        allowed = not self.by_tls or self.trust.expects(address)
        with self._lock:
            shaking = self._shaking[address]
        if allowed and peers[address] + shaking < settings.associations_per_peer_max:
            return True
        structlog.get_logger().warning("connection_refused", peer=address, allowed=allowed)
        return False

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(self.settings.idle_timeout_s)
        return connection, address

    def shutdown(self) -> None:
        """Stops listening; the associations that are there go on. Waits for the serving thread."""
        TCPServer.shutdown(self)
        self.server_close()


class Listener:
    """Listens from construction to `stop`. `port` is the one it has, where the configuration asked for 0; `tls_port`,
    where it has one, is for TLS alone.
    """

    def __init__(self, settings: Settings, trust: Trust, handlers: list[evt.EventHandlerType]) -> None:
        # Settings of the whole process: its own logs would format every data set.
        _config.LOG_HANDLER_LEVEL = "none"
        _config.LOG_REQUEST_IDENTIFIERS = False
        _config.LOG_RESPONSE_IDENTIFIERS = False
        self._settings = settings
        self._entity = _entity(settings, trust)
        self._servers: list[_Server] = []
        handlers = [
            *handlers,
            (evt.EVT_PDU_RECV, _ceiling(settings.data_set_bytes_max)),
            (evt.EVT_REQUESTED, trust.on_requested),
        ]
        for by_tls in (False, True) if settings.tls is not None else (False,):
            try:
                self._servers.append(_Server(settings, trust, self._entity, handlers, by_tls=by_tls))
            except OSError as error:
                for server in self._servers:
                    server.server_close()
                where = f"{settings.host}:{settings.tls.port if by_tls and settings.tls else settings.port}"
                raise ConfigError(
                    f"[worklist] {where} cannot be listened on ({error.strerror}): "
                    "stop what uses it, or set another port"
                ) from None
        metrics.ASSOCIATIONS.set_function(lambda: len(self._associations()))
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(_POLL_S,), name="listener") for server in self._servers
        ]
        for thread in self._threads:
            thread.start()

    @property
    def port(self) -> int:
        return int(self._servers[0].server_address[1])

    @property
    def tls_port(self) -> int | None:
        return int(self._servers[1].server_address[1]) if len(self._servers) > 1 else None

    def stop(self) -> None:
        """Takes no new associations, lets those that are there end within `stop_timeout_s`, aborts the rest."""
        for server in self._servers:
            server.shutdown()
        for thread in self._threads:
            thread.join()
        until_s = time.monotonic() + self._settings.stop_timeout_s
        while self._associations() and time.monotonic() < until_s:
            time.sleep(_POLL_S)
        left = self._associations()
        for association in left:
            # One that is still being set up can be neither released nor aborted; it ends with the process.
            if association.is_established:
                association.abort()
        structlog.get_logger().info("listener_stopped", associations_aborted=len(left))

    def _associations(self) -> list[Association]:
        return [association for server in self._servers for association in server.active_associations]


def _entity(settings: Settings, trust: Trust) -> AE:
    entity = AE(ae_title=settings.ae_title)
    entity.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    # Where a file says who may come, who comes has to know whom it calls, as with the router.
    entity.require_called_aet = trust.has_peers
    entity.maximum_associations = settings.associations_max
    entity.maximum_pdu_size = 1 << 16
    entity.acse_timeout = settings.set_up_timeout_s
    entity.network_timeout = settings.idle_timeout_s
    entity.dimse_timeout = settings.idle_timeout_s
    for service in (VERIFICATION, MODALITY_WORKLIST, PERFORMED_PROCEDURE_STEP):
        entity.add_supported_context(service)
    return entity


class Discarded(BytesIO):
    """A data set over the ceiling: what comes is let go, and the request is refused when it is complete."""

    def write(self, data: Any) -> int:
        return len(data)


def _ceiling(bytes_max: int) -> Callable[[evt.Event], None]:
    """A handler of EVT_PDU_RECV that lets go of data sets over the ceiling as they come in."""

    def on_pdu(event: evt.Event) -> None:
        message = event.assoc.dimse.message
        if message is not None and message.data_set is not None and message.data_set.tell() > bytes_max:
            message.data_set = Discarded()

    return on_pdu
