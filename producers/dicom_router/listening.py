"""The listener: it takes connections, gives each a thread and an association, and ends them when it stops.

Plain DICOM and DICOM over TLS have a port each, and everything else together."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

import structlog

from producers.dicom_router.config import Settings
from producers.dicom_router.data_set import Room
from producers.dicom_router.object_buffer import Budget, BufferPool
from producers.dicom_router.object_file import left_free, made
from producers.dicom_router.operations import operations
from producers.dicom_router.reading_ahead import ReadingAhead
from producers.dicom_router.receiver import Receiver
from producers.dicom_router.trust.door import Door, Visit
from producers.dicom_router.upper_layer.association import Association
from producers.dicom_router.upper_layer.connection import Connection, refuse
from producers.dicom_router.upper_layer.limits import Limits
from producers.dicom_router.upper_layer.messages import Operation, Pace
from producers.dicom_router.upper_layer.pdu import Violation
from producers.dicom_router.upper_layer.tls_connection import TlsConnection
from producers.dicom_router.workers import Workers
from streams import metrics
from streams.admission import Admission, Shared
from streams.clock import Clock
from streams.peers.refusals import Refusals
from streams.peers.trust import Trust
from streams.ports import Ports

# How long associations may take to end once they are asked to, before their connections are cut.
_END_S_MAX: Final = 3.0
# How long a peer whose handshake failed may take to hear of it.
_LAST_WORD_S_MAX: Final = 1.0


class Listener:
    """Its ports are open from construction to `close`, and connections are taken from `start` on. `port` and `tls_port`
    are those it has, where 0 was asked for; `room` is where objects go that come in, also by other doors.
    """

    def __init__(
        self,
        settings: Settings,
        receiver: Receiver,
        trust: Trust,
        refusals: Refusals,
        clock: Clock,
        beside_storage: Mapping[int, Operation] = MappingProxyType({}),
        ports: Ports | None = None,
        shared: Shared | None = None,
    ) -> None:
        """`beside_storage` are further operations, by the command field of their requests. `ports` may hold ours
        already, from a process that serves. `shared` is there where other processes of this router take connections,
        too. Raises ConfigError for a port or a folder that cannot be had.
        """
        self._settings = settings
        self.room = Room(
            object_bytes_max=settings.object_bytes_max,
            memory=BufferPool(Budget(settings.objects_memory_bytes_max)),
            disk=Budget(settings.objects_disk_bytes_max),
            folder=made(settings.objects_folder),
            free_bytes_min=left_free(settings.objects_folder, settings.spool),
        )
        self._operations = {**operations(receiver, settings.ae_title, self.room), **beside_storage}
        self._limits = Limits(
            set_up_s=settings.set_up_timeout_s,
            pace=Pace(settings.idle_timeout_s, settings.message_bytes_per_s_min),
            association_s=settings.association_timeout_s,
            pdu_bytes_max=settings.pdu_bytes_max,
        )
        self._admission = Admission(settings.associations_max, settings.of_one_address_max, shared)
        self._trust = trust
        self._door = Door(settings.ae_title, trust, self._admission, refusals, clock)
        self._open: set[Connection] = set()
        self._changed = threading.Condition()
        self._workers = Workers("association")
        self._ahead = ReadingAhead(settings.operations_per_association_max, self.room.memory, self._workers)
        ports = ports or Ports()
        self._port = ports.open("dicom", settings.host, settings.port, section="router")
        self._tls_port = settings.tls and ports.open(
            "dicom-tls", settings.host, settings.tls.port, section="router.tls"
        )
        metrics.ASSOCIATIONS.set_function(lambda: self._admission.associations)

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def tls_port(self) -> int | None:
        """None where there is no TLS."""
        return self._tls_port.number if self._tls_port else None

    def start(self) -> None:
        """Connections are taken from now on."""
        self._port.start(partial(self._take, secured=False))
        if self._tls_port:
            self._tls_port.start(partial(self._take, secured=True))

    def close(self) -> None:
        """Takes no new connections; those that are there go on until `stop`."""
        self._port.close()
        if self._tls_port:
            self._tls_port.close()

    def stop(self) -> None:
        """Closes, lets associations that are there or are set up end within `stop_timeout_s`, then ends the rest.

        Those between two messages are asked to release, the others are aborted.
        """
        self.close()
        self._wait(lambda: not self._open, self._settings.stop_timeout_s)
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

    def _take(self, connected: socket.socket, address: tuple[str, int], *, secured: bool) -> None:
        # Before TLS, and before a byte is read.
        visit = self._door.enter(address[0], secured=secured)
        if visit is None:
            refuse(connected)
            return
        context = self._trust.context if secured else None
        connection = Connection(connected) if context is None else TlsConnection(connected, context)
        with self._changed:
            self._open.add(connection)
        try:
            connection.prepare()
            self._workers.run(partial(self._serve, connection, visit))
        except (OSError, RuntimeError) as error:
            structlog.get_logger().error("connection_not_taken", error=error)
            self._leave(connection, visit)

    def _serve(self, connection: Connection, visit: Visit) -> None:
        """The life of one connection, in its own thread."""
        log = structlog.get_logger()
        ended = "aborted"
        try:
            connection.deadline = time.monotonic() + self._limits.set_up_s
            if not isinstance(connection, TlsConnection) or visit.shake_hands(connection):
                ended = self._associated(connection, visit)
            else:
                ended = "rejected"
                connection.linger(_LAST_WORD_S_MAX)
        except Violation as violation:
            log.warning("association_aborted", association=visit.association, peer=visit.address, reason=violation.why)
        except Exception:
            # Nobody planned this one. It ends one association and nothing else.
            log.error("association_failed", association=visit.association, exc_info=True)
        finally:
            visit.give_back()
            metrics.ASSOCIATIONS_ENDED.labels(ended).inc()
            self._leave(connection, visit)

    def _associated(self, connection: Connection, visit: Visit) -> str:
        """How the association ended, as `Association.run` says it. Raises Violation after it was aborted."""
        association = Association(connection, self._limits, self._operations, visit, self._ahead)
        visit.association = association.id
        return association.run()

    def _leave(self, connection: Connection, visit: Visit) -> None:
        connection.close()
        visit.leave()
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        with self._changed:
            self._changed.wait_for(condition, seconds)
