"""A RIS as tests need it: pynetdicom's SCP of performed steps, which obeys PS3.4 section F.7 or what a test says."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from streams.sop_classes import PERFORMED_PROCEDURE_STEP
from tests.nodes import serving
from tests.ports import free_port

NO_LONGER = "Performed Procedure Step Object may no longer be updated"


@dataclass(frozen=True)
class Request:
    """An N-CREATE or N-SET as it came."""

    kind: str
    mpps_uid: str
    data: bytes
    transfer_syntax: str
    calling_ae: str


@dataclass
class Ris:
    """Its state outlives its server, as a database does. Written to by the server's threads.

    `answer` gives the status of the n-th request, from 0, or None where the rules of the standard decide; `lost` says
    whether the association is aborted instead of an answer, after the request was taken.
    """

    port: int = 0
    answer: Callable[[int, Request], int | None] = lambda *_: None
    lost: Callable[[int], bool] = lambda _: False
    requests: list[Request] = field(default_factory=list)
    steps: dict[str, str] = field(default_factory=dict)
    associations: int = 0

    def told(self, mpps_uid: str) -> list[str]:
        return [one.kind for one in self.requests if one.mpps_uid == mpps_uid]

    def _on_create(self, event: Any) -> tuple[Any, None]:
        asked = event.request
        return self._on("N-CREATE", event, str(asked.AffectedSOPInstanceUID), asked.AttributeList.getvalue()), None

    def _on_set(self, event: Any) -> tuple[Any, None]:
        asked = event.request
        return self._on("N-SET", event, str(asked.RequestedSOPInstanceUID), asked.ModificationList.getvalue()), None

    def _on(self, kind: str, event: Any, mpps_uid: str, data: bytes) -> Any:
        syntax, calling = str(event.context.transfer_syntax), event.assoc.requestor.ae_title
        number, request = len(self.requests), Request(kind, mpps_uid, data, syntax, calling)
        self.requests.append(request)
        said = event.attribute_list if kind == "N-CREATE" else event.modification_list
        chosen = self.answer(number, request)
        status = self._by_the_standard(kind, mpps_uid, said) if chosen is None else chosen
        if self.lost(number):
            event.assoc.abort()
        return status

    def _by_the_standard(self, kind: str, mpps_uid: str, said: Dataset) -> Any:
        if kind == "N-CREATE":
            if mpps_uid in self.steps:
                return 0x0111
        elif mpps_uid not in self.steps:
            return 0x0112
        elif self.steps[mpps_uid] != "IN PROGRESS":
            refused: Any = Dataset()
            refused.Status, refused.ErrorComment, refused.ErrorID = 0x0110, NO_LONGER, 0xA710
            return refused
        self.steps[mpps_uid] = str(said.get("PerformedProcedureStepStatus", self.steps.get(mpps_uid)))
        return 0x0000

    def _opened(self, _: Any) -> None:
        self.associations += 1


@contextmanager
def listening(
    made: Ris,
    port: int = 0,
    syntaxes: tuple[str, ...] = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN),
    tls: ssl.SSLContext | None = None,
) -> Iterator[Ris]:
    """On loopback until the block ends, which cuts off whoever is connected."""
    entity = AE("RIS")
    entity.add_supported_context(PERFORMED_PROCEDURE_STEP, list(syntaxes))
    handlers = [
        (evt.EVT_N_CREATE, made._on_create),
        (evt.EVT_N_SET, made._on_set),
        (evt.EVT_REQUESTED, made._opened),
    ]
    with serving(entity, handlers, port, tls) as made.port:
        yield made


def switched_off(port: int = 0) -> socket.socket:
    """A port where nothing listens, and that nobody else gets, until the socket is closed; and hardly anybody later."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", port or free_port()))
    return held
