"""Associations that we open (pynetdicom): they wait in the kernel, leave no socket open, and go by TLS where asked."""

from __future__ import annotations

import select
import socket
import time
from contextlib import suppress
from typing import Any, cast

from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.transport import T_CONNECT, AssociationSocket

from streams.keepalive import keep_alive
from streams.stored_file import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from streams.tls.reaching import NotSecured, Secured
from streams.tls.stream import SecuredStream

# How long the reading thread may sit in select: only a release waits for it.
_READY_S = 0.05


class _Waiting(AssociationSocket):
    """Waits for the peer in the kernel; pynetdicom's own asks a thousand times a second."""

    def connect(self, primitive: T_CONNECT) -> None:
        entity = cast(Entity, self.assoc.ae)
        if entity.secured is not None and self.socket is not None:
            entity.stream = SecuredStream(self.socket, entity.secured)
            self.socket = cast(socket.socket, entity.stream)
        super().connect(primitive)

    @property
    def ready(self) -> bool:
        if self.socket is None or not self._is_connected:
            time.sleep(_READY_S / 10)
            return False
        try:
            if isinstance(self.socket, SecuredStream) and self.socket.pending():
                return True
            return bool(select.select([self.socket], [], [], _READY_S)[0])
        except (OSError, ValueError):
            self.event_queue.put("Evt17")  # transport connection closed
            return False

    def _shutdown_socket(self) -> None:
        """Closes it also where there is no connection to shut down, which pynetdicom's own leaves open."""
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()


class Entity(AE):
    """An application entity for one association. `secured` says how TLS is done with the peer; None is without."""

    def __init__(self, ae_title: str, secured: Secured | None = None) -> None:
        super().__init__(ae_title)
        self.implementation_class_uid = UID(IMPLEMENTATION_CLASS_UID)
        self.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        self.secured = secured
        self.stream: SecuredStream | None = None

    @property
    def not_secured(self) -> NotSecured | None:
        """Why there is no association, where TLS is why. Under TLS 1.3 a peer may just close on our certificate."""
        if self.stream is None:
            return None
        return self.stream.failed

    def _create_socket(self, *args: Any) -> AssociationSocket:
        created = super()._create_socket(*args)
        created.__class__ = _Waiting
        if created.socket is not None:
            keep_alive(created.socket)
        return created
