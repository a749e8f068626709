"""What each PDU means in each state of an association (PS3.8 section 9.2), for who accepts associations.

The names of states and actions are the standard's. A pair that is not here is a PDU that nobody expects: AA-1 before
the association is there, AA-8 after. In Sta13 everything is let go unread until the peer closes, so it has no rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from producers.dicom_router.upper_layer.pdu import PduType


class State(Enum):
    AWAITING_REQUEST = "Sta2"
    ESTABLISHED = "Sta6"
    RELEASE_REQUESTED = "Sta7"  # by us: at the end of the time that an association may last
    RELEASE_COLLIDED = "Sta10"  # both asked; who accepted the association waits for the response first
    AWAITING_CLOSE = "Sta13"


class Action(Enum):
    NEGOTIATE = "AE-6"
    TAKE_DATA = "DT-2"
    LET_DATA_GO = "AR-6"  # what crosses our own request to release; it gets no response, so its sender keeps it
    ANSWER_RELEASE = "AR-2"  # and AR-4 at once: every request before it was answered
    RELEASED = "AR-3"
    AWAIT_RELEASE_RESPONSE = "AR-8"
    ANSWER_COLLIDED_RELEASE = "AR-10"  # and AR-4
    END_BEFORE_IT_BEGAN = "AA-2"
    ABORTED_BY_PEER = "AA-3"
    ABORT_BEFORE_IT_BEGAN = "AA-1"
    ABORT = "AA-8"


TRANSITIONS: Final[Mapping[tuple[State, PduType], Action]] = {
    (State.AWAITING_REQUEST, PduType.ASSOCIATE_RQ): Action.NEGOTIATE,
    (State.AWAITING_REQUEST, PduType.ABORT): Action.END_BEFORE_IT_BEGAN,
    (State.ESTABLISHED, PduType.P_DATA_TF): Action.TAKE_DATA,
    (State.ESTABLISHED, PduType.RELEASE_RQ): Action.ANSWER_RELEASE,
    (State.ESTABLISHED, PduType.ABORT): Action.ABORTED_BY_PEER,
    (State.RELEASE_REQUESTED, PduType.P_DATA_TF): Action.LET_DATA_GO,
    (State.RELEASE_REQUESTED, PduType.RELEASE_RQ): Action.AWAIT_RELEASE_RESPONSE,
    (State.RELEASE_REQUESTED, PduType.RELEASE_RP): Action.RELEASED,
    (State.RELEASE_REQUESTED, PduType.ABORT): Action.ABORTED_BY_PEER,
    (State.RELEASE_COLLIDED, PduType.RELEASE_RP): Action.ANSWER_COLLIDED_RELEASE,
    (State.RELEASE_COLLIDED, PduType.ABORT): Action.ABORTED_BY_PEER,
}


def action(state: State, pdu: PduType) -> Action:
    unexpected = Action.ABORT_BEFORE_IT_BEGAN if state is State.AWAITING_REQUEST else Action.ABORT
    return TRANSITIONS.get((state, pdu), unexpected)
