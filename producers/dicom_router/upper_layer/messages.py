"""DIMSE messages out of fragments: a command set, then perhaps a data set, in one presentation context (PS3.8 annex E).

Commands are small and kept here; the bytes of a data set go to the sink that its operation gives.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from producers.dicom_router.upper_layer import command_set
from producers.dicom_router.upper_layer.command_set import Command
from producers.dicom_router.upper_layer.connection import Connection
from producers.dicom_router.upper_layer.inbound import Fragment, Inbound
from producers.dicom_router.upper_layer.let_go import LetGo
from producers.dicom_router.upper_layer.negotiation import Context
from producers.dicom_router.upper_layer.notices import Notices
from producers.dicom_router.upper_layer.pdu import BY_USER, UNEXPECTED_PARAMETER, Violation


@dataclass(frozen=True, slots=True)
class Request:
    """One DIMSE request. `calling_ae` is as it was sent; `association` is a random id.

    `notices` is how its peer may be asked on the same association, where it can be.
    """

    command: Command
    context_id: int
    context: Context
    calling_ae: str
    association: str
    notices: Notices | None = None


class Sink(Protocol):
    """Where a data set goes."""

    def room(self, length: int) -> memoryview:
        """Where to put the next bytes, `length` of them or fewer and at least one; released before the next call."""

    def filled(self, count: int) -> None:
        """So many bytes of the room are there."""

    def abandon(self) -> None:
        """The association ended before the data set did."""


class Operation(Protocol):
    """A DIMSE operation, by the command field of its request. Used from the threads of all associations.

    Operations with several responses, or with a data set in them, will want to send for themselves.
    """

    @property
    def response(self) -> int:
        """The command field of the response."""

    def sink(self, request: Request) -> Any:
        """A Sink for the data set that follows. Raises Violation where the operation has none."""

    def answer(self, request: Request, sink: Any) -> int:
        """The status. `sink` is None where the command said that no data set follows."""


class Message(NamedTuple):
    """A request that is there as a whole; `sink` is None without a data set."""

    operation: Operation
    request: Request
    sink: Sink | None


class _Incoming(NamedTuple):
    """A message whose command is there. `operation` is None for a response: it goes to who asked."""

    operation: Operation | None
    request: Request
    sink: Sink | None


@dataclass(frozen=True)
class Pace:
    """How fast a message must come in: a byte within `idle_s`, and `bytes_per_s_min` on average beyond that."""

    idle_s: float
    bytes_per_s_min: int


class Messages:
    """What comes in on one association, fragment by fragment. Raises Violation, and what its connection raises."""

    def __init__(
        self,
        connection: Connection,
        inbound: Inbound,
        pace: Pace,
        operations: Mapping[int, Operation],
        contexts: Mapping[int, Context],
        calling_ae: str,
        association: str,
        notices: Notices | None = None,
    ) -> None:
        self._connection = connection
        self._inbound = inbound
        self._pace = pace
        self._operations = operations
        self._contexts = contexts
        self._calling_ae = calling_ae
        self._association = association
        self._notices = notices
        self._command = bytearray()
        self._command_context = 0
        # The message whose data set is coming in.
        self._open: _Incoming | None = None
        self._began = 0.0
        self._came = 0

    @property
    def is_open(self) -> bool:
        """Whether a message has begun and is not there as a whole."""
        return self._open is not None or len(self._command) > 0

    def begin(self) -> None:
        """What comes now is of another message: its time begins."""
        self._began, self._came = time.monotonic(), 0
        self._progress(0)

    def take(self, fragment: Fragment) -> Message | None:
        """Reads a fragment; the message that it completes."""
        context = self._contexts.get(fragment.context)
        if context is None:
            raise Violation("a fragment in a context that was not accepted")
        if not fragment.is_command:
            return self._data(fragment)
        self._add_to_command(fragment)
        if not fragment.is_last:
            return None
        command = command_set.decode(self._command)
        self._command.clear()
        return self._begun(
            Request(command, fragment.context, context, self._calling_ae, self._association, self._notices)
        )

    def abandon(self) -> None:
        """The association is over."""
        if self._open is not None and self._open.sink is not None:
            self._open.sink.abandon()

    def _add_to_command(self, fragment: Fragment) -> None:
        if self._open is not None:
            raise Violation("a command within a data set", UNEXPECTED_PARAMETER)
        if self._command and fragment.context != self._command_context:
            raise Violation("a command in two contexts")
        if len(self._command) + fragment.length > command_set.COMMAND_BYTES_MAX:
            raise Violation("a command set over the ceiling")
        self._command_context = fragment.context
        left = fragment.length
        while left:
            part = bytearray(left)
            got = self._inbound.move(memoryview(part), fragment.is_last)
            self._command += part[:got]
            left -= got
            self._progress(got)

    def _begun(self, request: Request) -> Message | None:
        operation = self._operations.get(request.command.field)
        if request.command.status is not None and self._notices is not None:
            operation = None
        elif operation is None:
            raise Violation("an operation that nobody offered", BY_USER)
        if not request.command.has_data_set:
            return self._whole(_Incoming(operation, request, None))
        self._open = _Incoming(operation, request, LetGo() if operation is None else operation.sink(request))
        return None

    def _data(self, fragment: Fragment) -> Message | None:
        message = self._open
        if message is None or message.sink is None:
            raise Violation("a data set without a command", UNEXPECTED_PARAMETER)
        if fragment.context != message.request.context_id:
            raise Violation("a data set in another context than its command")
        left = fragment.length
        while left:
            with message.sink.room(left) as room:
                got = self._inbound.move(room, fragment.is_last)
            message.sink.filled(got)
            left -= got
            self._progress(got)
        if not fragment.is_last:
            return None
        self._open = None
        return self._whole(message)

    def _whole(self, incoming: _Incoming) -> Message | None:
        """A request; what is a response goes to who asked."""
        if incoming.operation is not None:
            return Message(incoming.operation, incoming.request, incoming.sink)
        if self._notices is not None:
            self._notices.answered(incoming.request.command)
        return None

    def _progress(self, count: int) -> None:
        self._came += count
        on_average = self._began + self._pace.idle_s + self._came / self._pace.bytes_per_s_min
        self._connection.deadline = min(time.monotonic() + self._pace.idle_s, on_average)
