"""Notifications on the association that asked: one at a time, each result by one teller, and none for ever."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Iterable
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
    rest = b"".join(command_set.pieces(5, encoded, bytes(200), pdu_bytes_max))
    while rest:
        length = int.from_bytes(rest[2:6], "big")
        assert not pdu_bytes_max or length <= pdu_bytes_max
        context, control, fragment = rest[10], rest[11], rest[12 : 6 + length]
        assert context == 5
        commands, data_set = (commands + fragment, data_set) if control & 1 else (commands, data_set + fragment)
        assert bool(control & 2) == ((commands, data_set)[not control & 1] in (encoded, bytes(200)))
        rest = rest[6 + length :]
    assert (commands, data_set) == (encoded, bytes(200))


def test_a_peer_that_takes_little_at_a_time_costs_little_more_memory_for_that() -> None:
    """It says so itself; a report for 10,000 images has nearly two megabytes."""
    data_set = bytes(200_000)
    tracemalloc.start()
    try:
        pieces = command_set.pieces(5, command_set.event_report(7, COMMITMENT, INSTANCE, 2), data_set, 7)
        assert sum(map(len, pieces)) > 13 * len(data_set)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 1 << 20


@dataclass
class Heard(Notices):
    """Takes every notification."""

    what: list[Notification] = field(default_factory=list)
    is_closed: bool = False

    def ask(self, what: Notification, timeout_s: float) -> int | None:
        self.what.append(what)
        return 0


@dataclass
class Slow(Heard):
    """Answers nothing before it is `awake`."""

    awake: threading.Event = field(default_factory=threading.Event)

    def ask(self, what: Notification, timeout_s: float) -> int | None:
        self.what.append(what)
        return 0 if self.awake.wait(20) else None


def results_of(clock: AdjustableClock, numbers: Iterable[int], association: str = "") -> list[CommitmentResult]:
    hospital, found = Hospital(), []
    for number in numbers:
        made = decided(hospital, requested(hospital, f"2.25.{number}", [f"1.{number}"]))
        assert isinstance(made, CommitmentResult)
        source = structs.replace(made.source, association=association or made.source.association)
        meta = structs.replace(made.meta, occurred_at=clock.now())
        found.append(structs.replace(made, meta=meta, source=source))
    return found


def asked(association: str, notices: Notices) -> Request:
    command = Command(command_set.N_ACTION_RQ, 1, True, b"", b"", 1)
    return Request(command, 1, Context(COMMITMENT, EXPLICIT_VR_LITTLE_ENDIAN), "CT1", association, notices)


def test_who_is_slow_to_answer_has_one_thread_however_many_results_there_are_and_keeps_nobody_waiting() -> None:
    log, store, clock = with_topics(MemoryLog(), partitions=1), MemoryStore(), AdjustableClock()
    slow, quick, turns = Slow(), Heard(), Turns(store, clock)
    results = results_of(clock, range(100, 115), "slow")
    (another,) = results_of(clock, [7], "quick")
    before = set(threading.enumerate())
    telling = Telling(log, turns, clock)
    try:
        telling.expect(asked("slow", slow))
        telling.expect(asked("quick", quick))
        for result in (*results, another):
            World(None, log).write(result)
        wait_until(lambda: turns.told(another), "who is quick to be told")
        wait_until(lambda: slow.what, "the first to be said to who is slow")
        # Its own, and one for each of both.
        assert len(set(threading.enumerate()) - before) <= 3
        # The others are whoever's can tell them first.
        assert len(slow.what) == 1
        turns.take(results[1], "service")
        slow.awake.set()
        wait_until(lambda: turns.told(results[-1]), "who is slow to be told of the last")
    finally:
        telling.stop()
    assert len(slow.what) == len(results) - 1
    assert all(
        b"2.25.%d" % number in told.data_set for number, told in zip((100, *range(102, 115)), slow.what, strict=True)
    )


def test_who_asked_for_each_image_by_itself_is_told_of_all() -> None:
    """There may be nobody else to tell it: who is no node of the site's hears nothing from the service."""
    log, store, clock = with_topics(MemoryLog(), partitions=1), MemoryStore(), AdjustableClock()
    slow, turns = Slow(), Turns(store, clock)
    results = results_of(clock, range(100, 150), "slow")
    (another,) = results_of(clock, [7], "quick")
    telling = Telling(log, turns, clock)
    try:
        telling.expect(asked("slow", slow))
        telling.expect(asked("quick", Heard()))
        for result in (*results, another):
            World(None, log).write(result)
        wait_until(lambda: turns.told(another), "all to be read")
        slow.awake.set()
        wait_until(lambda: turns.told(results[-1]), "the last to be told")
    finally:
        telling.stop()
    assert len(slow.what) == len(results)


def test_who_could_not_be_told_for_want_of_threads_is_told_when_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often that was tried: what is read again each time waits once."""
    monkeypatch.setattr("producers.dicom_router.commitment.telling._PAUSE_S", 0.001)
    log, store, clock = with_topics(MemoryLog(), partitions=1), MemoryStore(), AdjustableClock()
    heard, turns, tries = Heard(), Turns(store, clock), 0
    (result,) = results_of(clock, [7])

    def none_left(*_: object) -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError("can't start new thread")

    telling = Telling(log, turns, clock)
    try:
        with monkeypatch.context() as patched:
            patched.setattr("producers.dicom_router.workers.Workers.run", none_left)
            telling.expect(asked(result.source.association, heard))
            World(None, log).write(result)
            wait_until(lambda: tries > 40, "threads to be wanted often")
        wait_until(lambda: turns.told(result), "it to be told")
    finally:
        telling.stop()
    assert len(heard.what) == 1


def test_a_result_whose_turn_was_taken_is_told_by_nobody_else() -> None:
    """Also where it is read again, as after a log that was away."""
    log, store, clock = with_topics(MemoryLog()), MemoryStore(), AdjustableClock()
    heard, turns = Heard(), Turns(store, clock)
    results = results_of(clock, (7, 8))
    turns.take(results[0], "association")
    telling = Telling(log, turns, clock)
    try:
        telling.expect(asked(results[0].source.association, heard))
        for result in results:
            World(None, log).write(result)
        wait_until(lambda: turns.told(results[1]), "the second to be told")
    finally:
        telling.stop()
    (told,) = heard.what
    assert b"2.25.8" in told.data_set
    assert turns.told(results[0]) is None
