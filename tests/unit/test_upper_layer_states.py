"""The state machine is the standard's: compared with pynetdicom's table, which has all of it (PS3.8 table 9-10)."""

from __future__ import annotations

import pytest
from pynetdicom.fsm import TRANSITION_TABLE

from producers.dicom_router.upper_layer.pdu import PduType
from producers.dicom_router.upper_layer.states import Action, State, action

# The events of table 9-10 that are the arrival of a PDU.
EVENTS = {
    PduType.ASSOCIATE_AC: "Evt3",
    PduType.ASSOCIATE_RJ: "Evt4",
    PduType.ASSOCIATE_RQ: "Evt6",
    PduType.P_DATA_TF: "Evt10",
    PduType.RELEASE_RQ: "Evt12",
    PduType.RELEASE_RP: "Evt13",
    PduType.ABORT: "Evt16",
}
READING = [state for state in State if state is not State.AWAITING_CLOSE]


@pytest.mark.parametrize("state", READING)
@pytest.mark.parametrize("pdu", PduType)
def test_each_pdu_means_in_each_state_what_the_standard_says(state: State, pdu: PduType) -> None:
    assert action(state, pdu).value == TRANSITION_TABLE[EVENTS[pdu], state.value]


def test_no_action_is_there_for_nothing() -> None:
    assert {action(state, pdu) for state in READING for pdu in PduType} == set(Action)
