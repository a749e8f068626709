"""Who is refused is logged, counted and audited; a flood of it floods nothing."""

from __future__ import annotations

import pytest

from producers.dicom_router.trust.refusals import ANYBODY, Kind, Refusals
from streams.clock import SystemClock
from streams.log import LogAway
from tests.logged import captured, lines


class HandClock(SystemClock):
    seconds = 1000.0

    def monotonic(self) -> float:
        return self.seconds


class Written:
    """Audit events, as they would be written; away while `away`."""

    def __init__(self) -> None:
        self.events: list[tuple[Kind, str, int]] = []
        self.away = False

    def __call__(self, kind: Kind, sentence: str, count: int) -> None:
        if self.away:
            raise LogAway("away")
        self.events.append((kind, sentence, count))

    @property
    def counted(self) -> int:
        return sum(count for _, _, count in self.events)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def refusals(written: Written, clock: HandClock) -> Refusals:
    return Refusals(written, clock)


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
    assert written.events == [(kind(), "nobody knows it", 5)]


def test_at_the_end_all_of_it_is_written(refusals: Refusals, written: Written) -> None:
    refusals.note(kind(), "nobody knows it")
    refusals.publish()
    refusals.note(kind(), "nobody knows it")
    refusals.publish(all_of_it=True)
    assert written.counted == 2
