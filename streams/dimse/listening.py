"""An application entity that answers a few times a minute: its contexts, its limits, and how it stops.

pynetdicom's own upper layer serves it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any, cast

import structlog
from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association

from streams import metrics
from streams.config import ConfigError
from streams.dimse.ceiling import TRANSFER_SYNTAXES
from streams.dimse.config import Listening
from streams.dimse.connections import Server, Serving
from streams.dimse.door import Door
from streams.stored_file import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

_POLL_S = 0.1
_ANY = 1 << 31
# Of all requests in one PDU. A command set has some 20 elements, the longest of 64 characters.
COMMAND_BYTES_MAX = 1 << 16


class Listener:
    """Listens from construction to `stop`. `port` is the one it has, where the configuration asked for 0; `tls_port`,
    where it has one, is for TLS alone.
    """

    def __init__(
        self,
        section: str,
        settings: Listening,
        door: Door,
        services: Sequence[str],
        handlers: list[evt.EventHandlerType],
        serving: Serving | None = None,
    ) -> None:
        """`services` are abstract syntaxes; `serving` is asked for requests that pynetdicom's own classes do not serve.

        Raises ConfigError for a port that cannot be had.
        """
        # Settings of the whole process: its own logs would format every data set.
        _config.LOG_HANDLER_LEVEL = "none"
        _config.LOG_REQUEST_IDENTIFIERS = False
        _config.LOG_RESPONSE_IDENTIFIERS = False
        self._settings = settings
        self._entity = _entity(settings, door, services)
        self._servers: list[Server] = []
        handlers = [
            *handlers,
            (evt.EVT_PDU_RECV, _ceiling(settings.data_set_bytes_max)),
            (evt.EVT_REQUESTED, door.on_requested),
            (evt.EVT_REJECTED, door.on_rejected),
        ]
        for by_tls in (False, True) if settings.tls is not None else (False,):
            try:
                self._servers.append(Server(settings, door, self._entity, handlers, serving, by_tls=by_tls))
            except OSError as error:
                for server in self._servers:
                    server.server_close()
                where = f"{settings.host}:{settings.tls.port if by_tls and settings.tls else settings.port}"
                raise ConfigError(
                    f"[{section}] {where} cannot be listened on ({error.strerror}): "
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


def _entity(settings: Listening, door: Door, services: Sequence[str]) -> AE:
    entity = AE(ae_title=settings.ae_title)
    entity.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
    entity.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    # Where a file says who may come, who comes has to know whom it calls, as with the router.
    entity.require_called_aet = door.has_peers
    # `door` counts those that asked; pynetdicom would count whoever is connected.
    entity.maximum_associations = _ANY
    entity.maximum_pdu_size = 1 << 16
    entity.acse_timeout = settings.set_up_timeout_s
    entity.network_timeout = settings.idle_timeout_s
    entity.dimse_timeout = settings.idle_timeout_s
    for service in services:
        entity.add_supported_context(service, TRANSFER_SYNTAXES)
    return entity


class Discarded(BytesIO):
    """A data set over the ceiling: what comes is let go, and the request is refused when it is complete."""

    def write(self, data: Any) -> int:
        return len(data)


def _ceiling(bytes_max: int) -> Callable[[evt.Event], None]:
    """A handler of EVT_PDU_RECV that lets go of data sets over the ceiling as they come in, and ends the association of
    who sends such a command set: no modality does, and it could not be answered.
    """

    def on_pdu(event: evt.Event) -> None:
        message = event.assoc.dimse.message
        pdu, connection = cast(Any, event.pdu), cast(Any, event.assoc.dul.socket)
        came = 0 if message is None else message.encoded_command_set.tell()
        if came + _command_bytes(pdu) > COMMAND_BYTES_MAX:
            pdu.presentation_data_value_items = []
            connection.end("a command set over the ceiling")
        if message is not None and message.data_set is not None and message.data_set.tell() > bytes_max:
            message.data_set = Discarded()

    return on_pdu


def _command_bytes(pdu: Any) -> int:
    """How much of command sets a PDU brings (PS3.8 annex E)."""
    fragments = (item.presentation_data_value for item in getattr(pdu, "presentation_data_value_items", ()))
    return sum(len(one) - 1 for one in fragments if one and one[0] & 1)
