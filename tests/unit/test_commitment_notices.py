"""Notifications on the association that asked: one at a time, each result by one teller, and none for ever."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO

import pytest
from msgspec import structs
from pynetdicom.dimse_messages import N_EVENT_REPORT_RQ
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import decode as decoded

from producers.dicom_router.commitment.telling import Telling
from producers.dicom_router.upper_layer import command_set
from producers.dicom_router.upper_layer.command_set import Command
from producers.dicom_router.upper_layer.messages import Request
from producers.dicom_router.upper_layer.negotiation import Context
from producers.dicom_router.upper_layer.notices import Notices, Notification
from producers.dicom_router.upper_layer.pdu import Violation
from streams.commitment_turns import Turns
from streams.events import CommitmentResult
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from tests.commitment_events import decided, requested
from tests.commitment_world import World, with_topics
from tests.event_streams import Hospital
from tests.routers import AdjustableClock
from tests.waiting import wait_until

COMMITMENT, INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
WHAT = Notification(3, lambda number: number.to_bytes(2, "big"), b"data set")


def response(message_id: int, status: int = 0, field: int = 0x8100) -> Command:
    return Command(field, message_id, False, b"", b"", status=status)


def sent(notices: Notices) -> tuple[int, bytes, bytes]:
    return wait_until(notices.due, "a notification")


def test_one_notification_is_outstanding_at_a_time() -> None:
    woken = threading.Event()
    notices = Notices(woken.set)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(notices.ask, WHAT, 20)
        assert woken.wait(20)
        assert sent(notices) == (3, b"\0\1", b"data set")
        second = pool.submit(notices.ask, WHAT, 20)
        assert notices.due() is None
        notices.answered(response(1, 0x0110))
        assert first.result(20) == 0x0110
        assert sent(notices) == (3, b"\0\2", b"data set")
        notices.answered(response(2))
        assert second.result(20) == 0


def test_who_is_gone_or_too_slow_did_not_answer() -> None:
    notices = Notices(lambda: None)
    assert notices.ask(WHAT, 0.01) is None
    assert notices.due() is None
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(notices.ask, WHAT, 20)
        sent(notices)
        notices.close()
        assert asked.result(20) is None
    assert notices.is_closed
    assert notices.ask(WHAT, 20) is None


@pytest.mark.parametrize("answer", [response(2), response(1, field=0x8001)], ids=["another id", "another operation"])
def test_an_answer_to_something_else_is_a_violation(answer: Command) -> None:
    notices = Notices(lambda: None)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(notices.ask, WHAT, 20)
        sent(notices)
        with pytest.raises(Violation):
            notices.answered(answer)
        notices.close()


@pytest.mark.parametrize("pdu_bytes_max", [0, 64, 16_384])
def test_a_report_is_read_by_pynetdicom_as_it_was_meant(pdu_bytes_max: int) -> None:
    encoded = command_set.event_report(7, COMMITMENT, INSTANCE, 2)
    read = decoded(BytesIO(encoded), True, True)
    assert read.CommandGroupLength == len(encoded) - 12
    message = N_EVENT_REPORT_RQ()
    message.command_set, message.data_set, message.context_id = read, BytesIO(b"data set"), 1
    primitive = message.message_to_primitive()
    assert isinstance(primitive, N_EVENT_REPORT)
    assert (primitive.MessageID, primitive.EventTypeID) == (7, 2)
    assert (primitive.AffectedSOPClassUID, primitive.AffectedSOPInstanceUID) == (COMMITMENT, INSTANCE)
    assert read.CommandDataSetType != 0x0101
    commands, data_set = b"", b""
    rest = command_set.pdus(5, encoded, pdu_bytes_max, bytes(200))
    while rest:
        length = int.from_bytes(rest[2:6], "big")
        assert not pdu_bytes_max or length <= pdu_bytes_max
        context, control, fragment = rest[10], rest[11], rest[12 : 6 + length]
        assert context == 5
        commands, data_set = (commands + fragment, data_set) if control & 1 else (commands, data_set + fragment)
        assert bool(control & 2) == ((commands, data_set)[not control & 1] in (encoded, bytes(200)))
        rest = rest[6 + length :]
    assert (commands, data_set) == (encoded, bytes(200))


@dataclass
class Heard(Notices):
    """Takes every notification."""

    what: list[Notification] = field(default_factory=list)
    is_closed: bool = False

    def ask(self, what: Notification, timeout_s: float) -> int | None:
        self.what.append(what)
        return 0


def test_a_result_whose_turn_was_taken_is_told_by_nobody_else() -> None:
    """Also where it is read again, as after a log that was away."""
    log, store, clock = with_topics(MemoryLog()), MemoryStore(), AdjustableClock()
    hospital, heard, turns = Hospital(), Heard(), Turns(store, clock)
    results = []
    for number in (7, 8):
        made = decided(hospital, requested(hospital, f"2.25.{number}", [f"1.{number}"]))
        assert isinstance(made, CommitmentResult)
        results.append(structs.replace(made, meta=structs.replace(made.meta, occurred_at=clock.now())))
    turns.take(results[0], "association")
    telling = Telling(log, turns, clock)
    command = Command(command_set.N_ACTION_RQ, 1, True, b"", b"", 1)
    context = Context(COMMITMENT, EXPLICIT_VR_LITTLE_ENDIAN)
    try:
        telling.expect(Request(command, 1, context, "CT1", results[0].source.association, heard))
        for result in results:
            World(None, log).write(result)  # type: ignore[arg-type]
        wait_until(lambda: turns.told(results[1]), "the second to be told")
    finally:
        telling.stop()
    (told,) = heard.what
    assert b"2.25.8" in told.data_set
    assert turns.told(results[0]) is None
