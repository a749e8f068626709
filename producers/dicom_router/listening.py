"""The listener: it takes connections, gives each a thread and an association, and ends them when it stops."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from producers.dicom_router.admission import Admission, AssociationPlace
from producers.dicom_router.config import Settings
from producers.dicom_router.data_set import Room
from producers.dicom_router.object_buffer import Budget, BufferPool
from producers.dicom_router.operations import operations
from producers.dicom_router.receiver import Receiver
from producers.dicom_router.upper_layer.association import Association, Limits
from producers.dicom_router.upper_layer.connection import Connection, refuse
from producers.dicom_router.upper_layer.messages import Pace
from producers.dicom_router.upper_layer.pdu import Violation
from producers.dicom_router.workers import Workers
from streams import metrics
from streams.config import ConfigError

_BACKLOG: Final = 128
# How long associations may take to end once they are asked to, before their connections are cut.
_END_S_MAX: Final = 3.0
_PAUSE_S: Final = 0.1


class Listener:
    """Listens from construction to `stop`. `port` is the one it has, where the configuration asked for 0;
    `room` is where objects go that come in, also by other doors.
    """

    def __init__(self, settings: Settings, receiver: Receiver) -> None:
        self._settings = settings
        self.room = Room(
            object_bytes_max=settings.object_bytes_max,
            memory=BufferPool(Budget(settings.objects_memory_bytes_max)),
            disk=Budget(settings.objects_disk_bytes_max),
            folder=settings.objects_folder,
        )
        self._operations = operations(receiver, settings.ae_title, self.room)
        self._limits = Limits(
            set_up_s=settings.set_up_timeout_s,
            pace=Pace(settings.idle_timeout_s, settings.message_bytes_per_s_min),
            association_s=settings.association_timeout_s,
            pdu_bytes_max=settings.pdu_bytes_max,
        )
        self._admission = Admission(settings.associations_max, settings.associations_per_peer_max)
        self._open: set[Connection] = set()
        self._changed = threading.Condition()
        self._stopping = False
        self._workers = Workers("association")
        self._socket = _listening(settings)
        metrics.ASSOCIATIONS.set_function(lambda: self._admission.associations)
        self._thread = threading.Thread(target=self._accept, name="listener", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def stop(self) -> None:
        """Takes no new associations, lets those that are there end within `stop_timeout_s`, then ends the rest.

        Those between two messages are asked to release, the others are aborted.
        """
        self._stopping = True
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()
        self._wait(lambda: self._admission.associations == 0, self._settings.stop_timeout_s)
        with self._changed:
            left = tuple(self._open)
        now = time.monotonic()
        for connection in left:
            connection.end = now
        self._wait(lambda: not self._open, _END_S_MAX)
        with self._changed:
            cut = tuple(self._open)
        for connection in cut:
            connection.cut()
        self._wait(lambda: not self._open, _END_S_MAX)
        structlog.get_logger().info("listener_stopped", connections_ended=len(left), connections_cut=len(cut))

    def _accept(self) -> None:
        while True:
            try:
                connected, address = self._socket.accept()
            except OSError as error:
                if self._stopping:
                    return
                # Out of files or memory, or the connection was gone before it was taken.
                structlog.get_logger().error("connection_not_taken", error=error)
                time.sleep(_PAUSE_S)
                continue
            self._take(connected, str(address[0]))

    def _take(self, connected: socket.socket, peer: str) -> None:
        if not self._admission.connect(peer):
            metrics.CONNECTIONS_REFUSED.inc()
            refuse(connected)
            return
        connection = Connection(connected)
        with self._changed:
            self._open.add(connection)
        try:
            connection.prepare()
            self._workers.run(partial(self._serve, connection, peer))
        except (OSError, RuntimeError) as error:
            structlog.get_logger().error("connection_not_taken", error=error)
            self._leave(connection, peer)

    def _serve(self, connection: Connection, peer: str) -> None:
        """The life of one connection, in its own thread."""
        log = structlog.get_logger()
        place = AssociationPlace(self._admission, peer)
        association = Association(connection, self._limits, self._operations, place)
        ended = "aborted"
        try:
            ended = association.run()
        except Violation as violation:
            log.warning("association_aborted", association=association.id, peer=peer, reason=violation.why)
        except Exception:
            # Nobody planned this one. It ends one association and nothing else.
            log.error("association_failed", association=association.id, exc_info=True)
        finally:
            place.give_back()
            metrics.ASSOCIATIONS_ENDED.labels(ended).inc()
            self._leave(connection, peer)

    def _leave(self, connection: Connection, peer: str) -> None:
        connection.close()
        self._admission.disconnect(peer)
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(condition, seconds)


def _listening(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise ConfigError(
            f"[router] {settings.host}:{settings.port} cannot be listened on ({error.strerror}): "
            "stop what uses it, or set another port"
        ) from None
