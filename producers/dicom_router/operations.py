"""The DIMSE operations that the router offers, by the command field of their requests (PS3.7 section 9.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from producers.dicom_router.arrival import OUT_OF_RESOURCES, SUCCESS, Arrival
from producers.dicom_router.data_set import DataSet, Room
from producers.dicom_router.receiver import Receiver
from producers.dicom_router.upper_layer import command_set
from producers.dicom_router.upper_layer.messages import Operation, Request
from producers.dicom_router.upper_layer.pdu import BY_USER, Violation
from streams import metrics
from streams.identity import uid_text
from streams.titles import ae_title


def operations(receiver: Receiver, ae_title: str, room: Room) -> Mapping[int, Operation]:
    """C-ECHO, and C-STORE into `receiver`. `ae_title` is our own."""
    return {command_set.C_ECHO_RQ: Echo(), command_set.C_STORE_RQ: Store(receiver, ae_title, room)}


class Echo:
    """PS3.4 annex A."""

    response: Final = command_set.C_ECHO_RSP

    def sink(self, request: Request) -> DataSet:
        raise Violation("a C-ECHO with a data set", BY_USER)

    def answer(self, request: Request, sink: None) -> int:
        return SUCCESS


class Store:
    """PS3.4 annex B."""

    response: Final = command_set.C_STORE_RSP

    def __init__(self, receiver: Receiver, ae_title: str, room: Room) -> None:
        self._receiver = receiver
        self._ae_title = ae_title
        self._room = room

    def sink(self, request: Request) -> DataSet:
        if not request.command.sop_class or not request.command.sop_instance:
            raise Violation("a C-STORE that names no SOP class or no instance", BY_USER)
        named = uid_text(request.command.sop_class), uid_text(request.command.sop_instance)
        return DataSet(self._room, *named, request.context.transfer_syntax)

    def answer(self, request: Request, sink: DataSet | None) -> int:
        content = sink if sink is not None else self.sink(request)
        status = OUT_OF_RESOURCES
        try:
            status = self._receiver.answer(self._arrival(request, content))
        finally:
            content.done(reusable=status == SUCCESS)
        metrics.CSTORE_RESPONSES.labels(f"{status:04X}").inc()
        return status

    def _arrival(self, request: Request, content: DataSet) -> Arrival:
        return Arrival(
            sop_class_uid=uid_text(request.command.sop_class),
            sop_instance_uid=uid_text(request.command.sop_instance),
            abstract_syntax=request.context.abstract_syntax,
            transfer_syntax_uid=request.context.transfer_syntax,
            content=content,
            calling_ae=ae_title(request.calling_ae),
            called_ae=self._ae_title,
            association=request.association,
        )
