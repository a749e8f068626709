"""The application entity: which contexts it accepts, its limits, and how it stops (PS3.8 chapter 7)."""

from __future__ import annotations

import threading
import time

import structlog
from pynetdicom import AE, _config, evt
from pynetdicom.presentation import NonPatientObjectPresentationContexts

from producers.dicom_router.arrival import MEDIA_DIRECTORY, VERIFICATION
from producers.dicom_router.config import Settings
from producers.dicom_router.receiver import Receiver
from producers.dicom_router.transport import Server, object_ceiling
from streams import metrics
from streams.config import ConfigError

# An association is set up within this time or not at all.
_SET_UP_S_MAX = 10.0
_POLL_S = 0.1


class Listener:
    """Listens from construction to `stop`. `port` is the one it has, where the configuration asked for 0.

    Storage is unrestricted: every abstract syntax that pynetdicom does not know as another service is accepted as a
    storage SOP class, retired and private ones too, with the first transfer syntax that the sender proposes. The router
    stores bytes as they come, so there is nothing that it could not hold. A media directory is accepted as a context
    and refused as an operation (`arrival.refusal`): a rejected context would leave no trace.
    """

    def __init__(self, settings: Settings, receiver: Receiver) -> None:
        # These are settings of the whole process; its own event logging would format every PDU.
        _config.UNRESTRICTED_STORAGE_SERVICE = True
        _config.LOG_HANDLER_LEVEL = "none"
        self._settings = settings
        self._server = _server(settings, receiver)
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
        deadline = time.monotonic() + self._settings.stop_timeout_s
        while self._server.active_associations and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        left = self._server.active_associations
        for association in left:
            association.abort()
        structlog.get_logger().info("listener_stopped", associations_aborted=len(left))


def _server(settings: Settings, receiver: Receiver) -> Server:
    entity = AE(ae_title=settings.ae_title)
    entity.maximum_associations = settings.associations_max
    entity.maximum_pdu_size = settings.pdu_bytes_max
    entity.acse_timeout = _SET_UP_S_MAX
    entity.network_timeout = settings.idle_timeout_s
    entity.add_supported_context(VERIFICATION)
    entity.add_supported_context(MEDIA_DIRECTORY)
    # Palettes, hanging protocols, implant templates: objects without a patient (PS3.4 annex GG), stored like others.
    for context in NonPatientObjectPresentationContexts:
        entity.add_supported_context(str(context.abstract_syntax))
    handlers: list[evt.EventHandlerType] = [
        (evt.EVT_C_STORE, receiver.on_c_store),
        (evt.EVT_PDU_RECV, object_ceiling(settings.object_bytes_max)),
    ]
    try:
        return Server(entity, (settings.host, settings.port), settings.ae_title, entity.supported_contexts, handlers)
    except OSError as error:
        raise ConfigError(
            f"[router] {settings.host}:{settings.port} cannot be listened on ({error.strerror}): "
            "stop what uses it, or set another port"
        ) from None
