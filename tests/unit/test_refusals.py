"""Who is refused is logged, counted and audited; a flood of it floods nothing."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from streams.clock import SystemClock
from streams.config import Site
from streams.events import AuditEvent
from streams.log import Delivery, LogAway
from streams.memory_log import MemoryLog
from streams.peers.refusal_audit import RefusalAudit
from streams.peers.refusals import ANYBODY, Kind, Refusals
from streams.wire import Message, SchemaIds
from tests.commitment_world import told
from tests.logged import captured, lines

AUDIT = "imaging.audit.event"


class HandClock(SystemClock):
    seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


class Written:
    """A producer of the audit topic. While `away` the log takes nothing; while `silent` it takes all and says nothing,
    until `speaks` says what became of it.
    """

    def __init__(self) -> None:
        self.log = MemoryLog()
        self.log.create_topic(AUDIT, 1)
        self.away = self.silent = False
        self._unsaid: list[tuple[Future[Delivery], Delivery]] = []

    def send(self, message: Message) -> Future[Delivery]:
        future: Future[Delivery] = Future()
        if self.away:
            future.set_exception(LogAway("away"))
            return future
        there = self.log.append(message)
        if self.silent:
            self._unsaid.append((future, there))
        else:
            future.set_result(there)
        return future

    def close(self, timeout_s: float) -> int:
        return len(self._unsaid)

    def speaks(self, error: Exception | None = None) -> None:
        self.silent = False
        for future, there in self._unsaid:
            if error is None:
                future.set_result(there)
            else:
                future.set_exception(error)
        self._unsaid.clear()

    @property
    def events(self) -> list[tuple[Kind, str, int]]:
        """As whoever reads the topic has them: of records with one id, one."""
        audited = {event.meta.event_id: event for event in told(self.log, AUDIT) if isinstance(event, AuditEvent)}
        return [
            (Kind(one.action, one.actor, one.meta.subject, one.attributes["why"]), one.reason, _count(one))
            for one in audited.values()
        ]

    @property
    def counted(self) -> int:
        return sum(count for _, _, count in self.events)


def _count(event: AuditEvent) -> int:
    return int(event.attributes["count"])


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def refusals(written: Written, clock: HandClock) -> Refusals:
    audit = RefusalAudit(Site(tenant="t", site="here"), SchemaIds(), clock, "test")
    return Refusals(audit.made, written, clock)


def kind(actor: str = "CT9", address: str = "10.0.0.1", why: str = "calling_ae") -> Kind:
    return Kind("association.refused", actor, address, why)


def test_the_first_is_audited_at_once_and_the_rest_once_a_minute(
    refusals: Refusals, written: Written, clock: HandClock
) -> None:
    refusals.note(kind(), "nobody knows it")
    refusals.publish()
    assert written.events == [(kind(), "nobody knows it", 1)]
    for _ in range(500):
        refusals.note(kind(), "nobody knows it")
        refusals.publish()
    assert len(written.events) == 1
    clock.seconds += 60
    refusals.publish()
    assert written.events[1:] == [(kind(), "nobody knows it", 500)]


def test_what_was_quiet_for_a_minute_is_new_again(refusals: Refusals, written: Written, clock: HandClock) -> None:
    with captured() as log:
        for _ in range(3):
            refusals.note(kind(), "nobody knows it")
            refusals.publish()
            clock.seconds += 61
            refusals.publish()
    assert [count for _, _, count in written.events] == [1, 1, 1]
    assert [line["event"] for line in lines(log)] == ["association_refused"] * 3


def test_a_flood_of_titles_from_one_address_is_a_few_lines_and_hides_nobody_else(
    refusals: Refusals, written: Written
) -> None:
    with captured() as log:
        for number in range(10_000):
            refusals.note(kind(f"AE{number}"), "nobody knows it")
        refusals.note(kind("CT1", address="10.0.0.2"), "nobody knows it")
    refusals.publish()
    assert len(lines(log)) == len(written.events) < 12
    assert written.counted == 10_001
    assert (kind("CT1", address="10.0.0.2"), "nobody knows it", 1) in written.events
    assert (kind(ANYBODY), "nobody knows it", 9_992) in written.events


def test_a_flood_from_all_addresses_of_a_machine_is_one_of_that_machine(refusals: Refusals, written: Written) -> None:
    """It has a whole /64 of IPv6."""
    with captured() as log:
        for number in range(10_000):
            refusals.note(kind("AE", address=f"2001:db8::{number:x}"), "nobody knows it")
        refusals.note(kind("CT1", address="2001:db8:0:1::7"), "nobody knows it")
    refusals.publish()
    assert len(lines(log)) == len(written.events) < 12
    assert written.counted == 10_001
    assert (kind("CT1", address="2001:db8:0:1::7"), "nobody knows it", 1) in written.events
    assert (kind(ANYBODY, address="2001:db8::/64"), "nobody knows it", 9_992) in written.events


def test_a_flood_from_everywhere_is_bounded_and_all_of_it_counted(
    refusals: Refusals, written: Written, clock: HandClock
) -> None:
    with captured() as log:
        for number in range(20_000):
            refusals.note(kind(f"AE{number % 7}", address=f"10.0.{number % 250}.{number % 249}"), "nobody knows it")
    refusals.publish()
    clock.seconds += 60
    refusals.publish()
    assert len(lines(log)) < 80
    assert len(written.events) < 160
    assert written.counted == 20_000


def test_while_the_log_is_away_nothing_is_forgotten(refusals: Refusals, written: Written, clock: HandClock) -> None:
    written.away = True
    for _ in range(5):
        refusals.note(kind(), "nobody knows it")
        refusals.publish()
        clock.seconds += 100
    written.away = False
    refusals.publish()
    clock.seconds += 60
    refusals.publish()
    assert written.counted == 5


def test_what_the_log_is_slow_to_acknowledge_is_audited_once(
    refusals: Refusals, written: Written, clock: HandClock
) -> None:
    refusals.note(kind(), "nobody knows it")
    written.silent = True
    for _ in range(30):
        refusals.publish()
        clock.seconds += 1
    written.speaks()
    clock.seconds += 60
    refusals.publish()
    assert written.events == [(kind(), "nobody knows it", 1)]


def test_what_the_log_took_and_did_not_say_so_is_audited_once(
    refusals: Refusals, written: Written, clock: HandClock
) -> None:
    """librdkafka gives a record up after half a minute; the broker may have it all the same."""
    refusals.note(kind(), "nobody knows it")
    written.silent = True
    refusals.publish()
    refusals.note(kind(), "nobody knows it")
    written.speaks(LogAway("no acknowledgement"))
    refusals.publish()
    clock.seconds += 60
    refusals.publish()
    assert written.events == [(kind(), "nobody knows it", 1), (kind(), "nobody knows it", 1)]


def test_who_waits_for_the_log_keeps_no_other_kind_waiting(refusals: Refusals, written: Written) -> None:
    written.silent = True
    for actor in ("CT1", "CT2", "CT3"):
        refusals.note(kind(actor), "nobody knows it")
    refusals.publish()
    assert {one.actor for one, _, _ in written.events} == {"CT1", "CT2", "CT3"}


def test_what_is_not_audited_is_said(refusals: Refusals, written: Written) -> None:
    written.away = True
    refusals.note(kind(), "nobody knows it")
    with captured() as log:
        refusals.publish()
    (line,) = lines(log)
    assert (line["event"], line["events"]) == ("refusals_not_audited", 1)


def test_at_the_end_all_of_it_is_written(refusals: Refusals, written: Written) -> None:
    refusals.note(kind(), "nobody knows it")
    refusals.publish()
    refusals.note(kind(), "nobody knows it")
    refusals.publish(all_of_it=True)
    assert written.counted == 2
