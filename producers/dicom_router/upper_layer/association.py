"""One association, from its connection to its end, as its acceptor (PS3.8 section 9.2). One thread runs it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from producers.dicom_router.upper_layer import command_set
from producers.dicom_router.upper_layer.associate_rq import Requested, decode
from producers.dicom_router.upper_layer.command_set import Command
from producers.dicom_router.upper_layer.connection import Closed, Connection, Expired
from producers.dicom_router.upper_layer.inbound import Fragment, Inbound
from producers.dicom_router.upper_layer.negotiation import Context, negotiate
from producers.dicom_router.upper_layer.pdu import (
    BY_USER,
    LOCAL_LIMIT_EXCEEDED,
    RELEASE_RP,
    RELEASE_RQ,
    UNEXPECTED_PARAMETER,
    UNEXPECTED_PDU,
    UNSPECIFIED,
    Rejection,
    Violation,
    a_abort,
    associate_rj,
)
from producers.dicom_router.upper_layer.states import Action, State, action

# ARTIM (PS3.8 section 9.1.5), where we said the last word and wait for the peer to close.
_CLOSE_S_MAX: Final = 2.0
# How long a peer has to answer when we ask to release.
_RELEASE_S_MAX: Final = 2.0
_ENDS: Final = {
    Action.RELEASED: "released",
    Action.ABORTED_BY_PEER: "aborted_by_peer",
    Action.END_BEFORE_IT_BEGAN: "aborted_by_peer",
}


@dataclass(frozen=True)
class Limits:
    """Times in seconds; `bytes_per_s_min` is what a message that has begun must bring on average."""

    set_up_s: float
    idle_s: float
    association_s: float
    bytes_per_s_min: int
    pdu_bytes_max: int


@dataclass(frozen=True, slots=True)
class Request:
    """One DIMSE request. `calling_ae` is as it was sent; `association` is a random id."""

    command: Command
    context_id: int
    context: Context
    calling_ae: str
    association: str


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


class Association:
    """`run` returns how it ended, for a metric: released, aborted, aborted_by_peer, rejected, closed, expired.

    `admitted` is asked once, when the peer has said what it wants: whether there is room for an association.
    """

    def __init__(
        self,
        connection: Connection,
        limits: Limits,
        operations: Mapping[int, Operation],
        admitted: Callable[[], bool],
    ) -> None:
        now = time.monotonic()
        connection.deadline = now + limits.set_up_s
        connection.end = now + limits.association_s
        self.id = uuid.uuid4().hex
        self._connection = connection
        self._inbound = Inbound(connection)
        self._limits = limits
        self._operations = operations
        self._admitted = admitted
        self._state = State.AWAITING_REQUEST
        self._calling_ae = ""
        self._contexts: Mapping[int, Context] = {}
        self._pdu_bytes_max = 0
        # The message that is coming in: bytes of its command, then the request whose data set goes to the sink.
        self._command = bytearray()
        self._command_context = 0
        self._request: Request | None = None
        self._sink: Sink | None = None
        self._began = 0.0
        self._came = 0

    def run(self) -> str:
        """Ends with the connection closed by the peer, or to be closed. Raises Violation after it has aborted."""
        try:
            return self._run()
        except Closed:
            return "closed"
        except Expired:
            if self._state is State.AWAITING_REQUEST:
                return "expired"  # AA-2
            self._last_word(a_abort(UNSPECIFIED))
            return "expired"
        except Violation as violation:
            self._last_word(a_abort(violation.abort))
            raise
        except Exception:
            self._last_word(a_abort(UNSPECIFIED))
            raise
        finally:
            if self._sink is not None:
                self._sink.abandon()

    def _run(self) -> str:
        while True:
            if ended := self._next():
                return ended

    def _next(self) -> str:
        """One PDU. How the association ended, or nothing where it goes on."""
        if self._state is State.ESTABLISHED and not self._message_is_open:
            try:
                self._connection.deadline = time.monotonic() + self._limits.idle_s
                self._inbound.wait()
            except Expired:
                if time.monotonic() <= self._connection.end:
                    raise
                self._ask_for_release()
            else:
                self._began, self._came = time.monotonic(), 0
                self._progress(0)
        pdu = self._inbound.pdu()
        return self._acted(action(self._state, pdu))

    def _acted(self, on: Action) -> str:
        match on:
            case Action.TAKE_DATA:
                while self._inbound.in_pdu:
                    self._fragment(self._inbound.fragment())
            case Action.LET_DATA_GO:
                while self._inbound.in_pdu:
                    self._inbound.let_go(self._inbound.fragment().length)
            case Action.NEGOTIATE:
                return self._negotiated(decode(self._inbound.body()))
            case Action.AWAIT_RELEASE_RESPONSE:
                self._inbound.body()
                self._state = State.RELEASE_COLLIDED
            case Action.ANSWER_RELEASE | Action.ANSWER_COLLIDED_RELEASE:
                self._last_word(RELEASE_RP)
                return "released"
            case Action.ABORT_BEFORE_IT_BEGAN | Action.ABORT:
                user_or_provider = BY_USER if self._state is State.AWAITING_REQUEST else UNEXPECTED_PDU
                raise Violation("a PDU that does not belong there", user_or_provider)
        return _ENDS.get(on, "")

    def _negotiated(self, requested: Requested) -> str:
        outcome = negotiate(requested, self._limits.pdu_bytes_max)
        if not isinstance(outcome, Rejection) and not self._admitted():
            outcome = LOCAL_LIMIT_EXCEEDED
        if isinstance(outcome, Rejection):
            self._last_word(associate_rj(outcome))
            return "rejected"
        self._calling_ae = requested.calling_ae
        self._contexts = outcome.contexts
        self._pdu_bytes_max = requested.pdu_bytes_max
        self._connection.send(outcome.answer)
        self._state = State.ESTABLISHED
        return ""

    @property
    def _message_is_open(self) -> bool:
        return self._request is not None or len(self._command) > 0

    def _fragment(self, fragment: Fragment) -> None:
        context = self._contexts.get(fragment.context)
        if context is None:
            raise Violation("a fragment in a context that was not accepted")
        if fragment.is_command:
            self._command_fragment(fragment, context)
        else:
            self._data_fragment(fragment)

    def _command_fragment(self, fragment: Fragment, context: Context) -> None:
        if self._request is not None:
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
        if fragment.is_last:
            command = command_set.decode(self._command)
            self._command.clear()
            self._begin(Request(command, fragment.context, context, self._calling_ae, self.id))

    def _begin(self, request: Request) -> None:
        operation = self._operations.get(request.command.field)
        if operation is None:
            raise Violation("an operation that nobody offered", BY_USER)
        if request.command.has_data_set:
            self._sink = operation.sink(request)
            self._request = request
        else:
            self._answer(operation, request, None)

    def _data_fragment(self, fragment: Fragment) -> None:
        request, sink = self._request, self._sink
        if request is None or sink is None:
            raise Violation("a data set without a command", UNEXPECTED_PARAMETER)
        if fragment.context != request.context_id:
            raise Violation("a data set in another context than its command")
        left = fragment.length
        while left:
            with sink.room(left) as room:
                got = self._inbound.move(room, fragment.is_last)
            sink.filled(got)
            left -= got
            self._progress(got)
        if fragment.is_last:
            self._request = self._sink = None
            self._answer(self._operations[request.command.field], request, sink)

    def _answer(self, operation: Operation, request: Request, sink: Sink | None) -> None:
        status = operation.answer(request, sink)
        answer = command_set.response(request.command, operation.response, status)
        self._connection.send(command_set.pdus(request.context_id, answer, self._pdu_bytes_max))
        # Whatever follows in the same PDU is of the next message.
        self._began, self._came = time.monotonic(), 0
        self._progress(0)

    def _progress(self, count: int) -> None:
        """A message must go on, and not by drops."""
        self._came += count
        on_average = self._began + self._limits.idle_s + self._came / self._limits.bytes_per_s_min
        self._connection.deadline = min(time.monotonic() + self._limits.idle_s, on_average)

    def _ask_for_release(self) -> None:
        """The time for this association is over, and no message is open: nothing is lost by an end in peace."""
        self._connection.end = self._connection.deadline = time.monotonic() + _RELEASE_S_MAX
        self._connection.send(RELEASE_RQ)
        self._state = State.RELEASE_REQUESTED

    def _last_word(self, pdu: bytes) -> None:
        self._state = State.AWAITING_CLOSE
        try:
            self._connection.send(pdu)
        except Closed:
            return
        self._connection.linger(_CLOSE_S_MAX)
