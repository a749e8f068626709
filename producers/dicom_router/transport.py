"""pynetdicom's transport, with ceilings and without waits.

As it comes, pynetdicom reads 4 kB at a time, lets Nagle's algorithm hold small responses back, and lets a peer claim a
PDU of 4 GB. This changes those and leaves the protocol to it.
"""

from __future__ import annotations

import socket
import uuid
from collections.abc import Callable
from io import BytesIO
from socketserver import TCPServer
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from producers.dicom_router.waiting import WaitingSocket, wait_instead_of_asking

# An A-ASSOCIATE-RQ with 128 presentation contexts and 40 transfer syntaxes in each has some 200 kB.
PDU_BYTES_MAX = 1 << 20
_BACKLOG = 128


class Discarded(BytesIO):
    """A data set over the ceiling: what comes is let go, and the request is refused when it is complete."""

    def write(self, data: Any) -> int:
        return len(data)


class WholeReads(WaitingSocket):
    """Reads what is asked for in as few calls as the network allows, and no PDU over the ceiling."""

    def recv(self, nr_bytes: int) -> bytearray:
        """`nr_bytes`, or fewer where the peer closed. Raises OSError, which ends the association, over the ceiling."""
        if nr_bytes > PDU_BYTES_MAX:
            raise OSError("a PDU over the ceiling")
        if self.socket is None:
            raise OSError("the connection is closed")
        data = bytearray(nr_bytes)
        view, have = memoryview(data), 0
        while have < nr_bytes:
            got = self.socket.recv_into(view[have:])
            if not got:
                return data[:have]
            have += got
        return data


class _Handler(RequestHandler):
    def _create_association(self) -> Association:
        association = super()._create_association()
        # pynetdicom finds its associations by the first part of the thread's name; the second is ours.
        association.name = f"AcceptorThread@{uuid.uuid4().hex}"
        wait_instead_of_asking(association, WholeReads)
        return association


def association_id(association: Association) -> str:
    """A random id, for logs and events."""
    return association.name.rpartition("@")[2]


class Server(ThreadedAssociationServer):
    """Listens, and hands each connection to an association with its own threads."""

    request_queue_size = _BACKLOG
    daemon_threads = True

    def __init__(
        self,
        entity: AE,
        address: tuple[str, int],
        title: str,
        contexts: list[PresentationContext],
        handlers: list[evt.EventHandlerType],
    ) -> None:
        super().__init__(entity, address, title, contexts, evt_handlers=handlers, request_handler=_Handler)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A peer that stops in mid-PDU does not keep a thread for ever.
        connection.settimeout(self.ae.network_timeout)
        return connection, address

    def shutdown(self) -> None:
        """Stops listening; the associations that are there go on. Waits for the serving thread."""
        TCPServer.shutdown(self)
        self.server_close()


def object_ceiling(bytes_max: int) -> Callable[[evt.Event], None]:
    """A handler of EVT_PDU_RECV that lets go of data sets over the ceiling as they come in."""

    def on_pdu(event: evt.Event) -> None:
        message = event.assoc.dimse.message
        if message is not None and message.data_set is not None and message.data_set.tell() > bytes_max:
            message.data_set = Discarded()

    return on_pdu
