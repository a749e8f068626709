"""One association, from its connection to its end, as its acceptor (PS3.8 section 9.2). One thread runs it."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Final

from producers.dicom_router.upper_layer import command_set
from producers.dicom_router.upper_layer.associate_rq import decode
from producers.dicom_router.upper_layer.beside import Beside, beside
from producers.dicom_router.upper_layer.connection import Closed, Connection, Expired
from producers.dicom_router.upper_layer.inbound import Inbound
from producers.dicom_router.upper_layer.limits import Limits, Place
from producers.dicom_router.upper_layer.messages import Message, Messages, Operation
from producers.dicom_router.upper_layer.negotiation import negotiate
from producers.dicom_router.upper_layer.pdu import (
    BY_USER,
    RELEASE_RP,
    RELEASE_RQ,
    UNEXPECTED_PDU,
    UNSPECIFIED,
    Abort,
    Rejection,
    Violation,
    a_abort,
    associate_rj,
)
from producers.dicom_router.upper_layer.states import Action, State, action
from producers.dicom_router.upper_layer.window import Ahead

# ARTIM (PS3.8 section 9.1.5), where we said the last word and wait for the peer to close.
_CLOSE_S_MAX: Final = 2.0
# How long a peer has to answer when we ask to release.
_RELEASE_S_MAX: Final = 2.0
# One request at a time: while it is read it takes several times its size, and anybody may send some.
_READING: Final = threading.Lock()
_ENDS: Final = {
    Action.RELEASED: "released",
    Action.ABORTED_BY_PEER: "aborted_by_peer",
    Action.END_BEFORE_IT_BEGAN: "aborted_by_peer",
}


class Association:
    """`run` returns how it ended, for a metric: released, aborted_by_peer, rejected, closed or expired.

    Time that the connection's set-up took before is not given again.
    """

    def __init__(
        self,
        connection: Connection,
        limits: Limits,
        operations: Mapping[int, Operation],
        place: Place,
        ahead: Ahead | None = None,
    ) -> None:
        """Without `ahead`, a message is answered before the next is read, whatever the peer asks for."""
        now = time.monotonic()
        connection.deadline = min(connection.deadline, now + limits.set_up_s)
        connection.end = now + limits.association_s
        self.id = uuid.uuid4().hex
        self._connection = connection
        self._inbound = Inbound(connection)
        self._limits = limits
        self._operations = operations
        self._place = place
        self._ahead = ahead
        self._beside: Beside | None = None
        self._state = State.AWAITING_REQUEST
        self._messages = Messages(connection, self._inbound, limits.pace, operations, {}, "", self.id)
        self._pdu_bytes_max = 0

    def run(self) -> str:
        """Returns, or raises Violation after it has aborted, when nothing more is to be said on the connection."""
        try:
            while not (ended := self._next()):
                pass
            return ended
        except Closed:
            return "closed"
        except Expired:
            if self._state is not State.AWAITING_REQUEST:
                self._abort(UNSPECIFIED)
            return "expired"  # before there was an association, without a word (AA-2)
        except Violation as violation:
            self._abort(violation.abort)
            raise
        except Exception:
            self._abort(UNSPECIFIED)
            raise
        finally:
            self._messages.abandon()
            if self._beside is not None:
                self._beside.close()

    def _next(self) -> str:
        """One PDU. How the association ended, or nothing where it goes on."""
        if self._state is State.ESTABLISHED and not self._messages.is_open:
            try:
                self._await_next()
                self._inbound.wait()
                self._messages.begin()
            except Expired:
                if time.monotonic() <= self._connection.end:
                    raise
                self._ask_for_release()
        return self._acted(action(self._state, self._inbound.pdu()))

    def _acted(self, on: Action) -> str:
        match on:
            case Action.TAKE_DATA:
                while self._inbound.in_pdu:
                    if message := self._messages.take(self._inbound.fragment()):
                        self._answer(message)
            case Action.LET_DATA_GO:
                while self._inbound.in_pdu:
                    self._inbound.let_go(self._inbound.fragment().length)
            case Action.NEGOTIATE:
                return self._negotiated(self._inbound.body())
            case Action.AWAIT_RELEASE_RESPONSE:
                self._inbound.body()
                self._state = State.RELEASE_COLLIDED
            case Action.ANSWER_RELEASE | Action.ANSWER_COLLIDED_RELEASE:
                self._finish()
                self._last_word(RELEASE_RP)
                return "released"
            case Action.ABORT_BEFORE_IT_BEGAN | Action.ABORT:
                raise Violation("a PDU that does not belong there", UNEXPECTED_PDU)
        return _ENDS.get(on, "")

    def _negotiated(self, body: bytes) -> str:
        operations_max = 1 if self._ahead is None else self._ahead.operations_max
        with _READING:
            requested = decode(body)
            outcome = negotiate(requested, self._limits.pdu_bytes_max, operations_max)
        if not isinstance(outcome, Rejection):
            outcome = self._place.take(requested) or outcome
        if isinstance(outcome, Rejection):
            self._last_word(associate_rj(outcome))
            return "rejected"
        self._pdu_bytes_max = requested.user.pdu_bytes_max
        self._beside = beside(
            self._connection, outcome, self._ahead, self._performed, self._pdu_bytes_max, self._await_next
        )
        self._messages = Messages(
            self._connection,
            self._inbound,
            self._limits.pace,
            self._operations,
            outcome.contexts,
            requested.calling_ae,
            self.id,
            self._beside.notices if self._beside else None,
        )
        self._connection.send(outcome.answer)
        self._state = State.ESTABLISHED
        return ""

    def _answer(self, message: Message) -> None:
        if self._beside is None or self._beside.window is None:
            self._connection.send(self._performed(message))
        else:
            self._beside.window.begin(message)
        # Whatever follows in the same PDU is of the next message.
        self._messages.begin()

    def _performed(self, message: Message) -> bytes:
        """The response to a request, as it is sent. In a window, any thread makes it."""
        request, operation = message.request, message.operation
        answer = command_set.response(request.command, operation.response, operation.answer(request, message.sink))
        return command_set.pdus(request.context_id, answer, self._pdu_bytes_max)

    def _await_next(self) -> None:
        """Between two messages a peer may be silent for a while, and for as long as it is us that it waits for."""
        if self._state is State.ESTABLISHED and not self._messages.is_open:
            is_waited_for = self._beside is not None and self._beside.is_busy
            self._connection.deadline = math.inf if is_waited_for else time.monotonic() + self._limits.pace.idle_s

    def _finish(self) -> None:
        """Until every request is answered that is there as a whole."""
        if self._beside is not None:
            self._beside.finish()

    def _ask_for_release(self) -> None:
        """The time for this association is over, and no message is open: nothing is lost by an end in peace."""
        self._finish()
        self._connection.end = self._connection.deadline = time.monotonic() + _RELEASE_S_MAX
        self._connection.send(RELEASE_RQ)
        self._state = State.RELEASE_REQUESTED

    def _abort(self, abort: Abort) -> None:
        """AA-8, or AA-1 before the association was there: then it is the user that aborts."""
        self._last_word(a_abort(BY_USER if self._state is State.AWAITING_REQUEST else abort))

    def _last_word(self, pdu: bytes) -> None:
        self._state = State.AWAITING_CLOSE
        try:
            self._finish()
            self._place.give_back()
            self._connection.send(pdu)
        except Closed:
            return
        self._connection.linger(_CLOSE_S_MAX)
