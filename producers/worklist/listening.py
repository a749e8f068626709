"""The application entity of worklist and performed steps: its contexts, its limits, and how it stops.

pynetdicom's own upper layer serves it: a scanner asks a few times a minute. What pynetdicom lacks is added: a ceiling
for a PDU, a deadline for one that has begun, and room for others where one peer opens many associations.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from socketserver import TCPServer
from typing import Any, cast

import structlog
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, RequestHandler, ThreadedAssociationServer

from producers.worklist.ceiling import TRANSFER_SYNTAXES
from producers.worklist.config import Settings
from streams import metrics
from streams.config import ConfigError
from streams.sop_classes import VERIFICATION

MODALITY_WORKLIST = "1.2.840.10008.5.1.4.31"
PERFORMED_PROCEDURE_STEP = "1.2.840.10008.3.1.2.3.3"
PDU_BYTES_MAX = 1 << 20
_POLL_S = 0.1


class _Bounded(AssociationSocket):
    """Reads no PDU over the ceiling, and none that takes longer than `pdu_timeout_s`."""

    pdu_timeout_s = 30.0

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


class _Handler(RequestHandler):
    def _create_association(self) -> Association:
        association = super()._create_association()
        # pynetdicom makes its parts itself, so this one changes class.
        connection = cast(Any, association.dul.socket)
        connection.__class__ = _Bounded
        connection.pdu_timeout_s = cast(_Server, self.server).settings.pdu_timeout_s
        return association


class _Server(ThreadedAssociationServer):
    daemon_threads = True
    # Over it the kernel drops who connects, and a good peer tries again after a second.
    request_queue_size = 1024

    def __init__(self, settings: Settings, entity: AE, handlers: list[evt.EventHandlerType]) -> None:
        self.settings = settings
        super().__init__(
            entity,
            (settings.host, settings.port),
            settings.ae_title,
            entity.supported_contexts,
            evt_handlers=handlers,
            request_handler=_Handler,
        )

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """A peer that is not named, or has too many associations, gets none; its connection is closed at once."""
        address, settings = str(client_address[0]), self.settings
        peers = Counter(one.requestor.address for one in self.active_associations)
        allowed = not settings.peers or address in settings.peers
        if allowed and peers[address] < settings.associations_per_peer_max:
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
    """Listens from construction to `stop`. `port` is the one it has, where the configuration asked for 0."""

    def __init__(self, settings: Settings, handlers: list[evt.EventHandlerType]) -> None:
        # Settings of the whole process: its own logs would format every data set.
        _config.LOG_HANDLER_LEVEL = "none"
        _config.LOG_REQUEST_IDENTIFIERS = False
        _config.LOG_RESPONSE_IDENTIFIERS = False
        self._settings = settings
        handlers = [*handlers, (evt.EVT_PDU_RECV, _ceiling(settings.data_set_bytes_max))]
        try:
            self._server = _Server(settings, _entity(settings), handlers)
        except OSError as error:
            raise ConfigError(
                f"[worklist] {settings.host}:{settings.port} cannot be listened on ({error.strerror}): "
                "stop what uses it, or set another port"
            ) from None
        metrics.ASSOCIATIONS.set_function(lambda: len(self._server.active_associations))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), name="listener")
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Takes no new associations, lets those that are there end within `stop_timeout_s`, aborts the rest."""
        self._server.shutdown()
        self._thread.join()
        until_s = time.monotonic() + self._settings.stop_timeout_s
        while self._server.active_associations and time.monotonic() < until_s:
            time.sleep(_POLL_S)
        left = self._server.active_associations
        for association in left:
            # One that is still being set up can be neither released nor aborted; it ends with the process.
            if association.is_established:
                association.abort()
        structlog.get_logger().info("listener_stopped", associations_aborted=len(left))


def _entity(settings: Settings) -> AE:
    entity = AE(ae_title=settings.ae_title)
    entity.maximum_associations = settings.associations_max
    entity.maximum_pdu_size = 1 << 16
    entity.acse_timeout = settings.set_up_timeout_s
    entity.network_timeout = settings.idle_timeout_s
    entity.dimse_timeout = settings.idle_timeout_s
    for service in (VERIFICATION, MODALITY_WORKLIST, PERFORMED_PROCEDURE_STEP):
        entity.add_supported_context(service, TRANSFER_SYNTAXES)
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
