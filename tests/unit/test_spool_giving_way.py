"""For how long, and up to what backlog, the drain leaves the machine to senders."""

from __future__ import annotations

import pytest

from producers.dicom_router.spool.giving_way import GivingWay
from tests.deciding_world import HandClock


def test_it_gives_way_to_who_waits_and_for_half_a_second() -> None:
    clock = HandClock()
    giving_way = GivingWay(clock)
    assert not giving_way.now(0)
    giving_way.sender_waits()
    assert giving_way.now(0)
    clock.seconds = 0.6
    assert not giving_way.now(0)


def test_a_gigabyte_on_one_disk_waits_for_nobody() -> None:
    giving_way = GivingWay(HandClock())
    giving_way.sender_waits()
    assert giving_way.now((1 << 30) - 1)
    assert not giving_way.now(1 << 30)


def test_senders_that_never_pause_are_given_way_to_for_half_a_minute_and_again_once_the_spool_was_empty() -> None:
    clock = HandClock()
    giving_way = GivingWay(clock)

    def gives_way_at(seconds: float, waiting_bytes: int) -> bool:
        clock.seconds = seconds
        giving_way.sender_waits()
        return giving_way.now(waiting_bytes)

    assert gives_way_at(0.0, 1000)
    assert gives_way_at(29.0, 1000)
    assert not gives_way_at(30.5, 1000)
    assert not gives_way_at(90.0, 1)
    assert gives_way_at(91.0, 0)
    assert gives_way_at(92.0, 1000)


def test_a_scanner_hardly_makes_the_drain_wait_and_a_burst_takes_nearly_all_of_the_machine() -> None:
    assert GivingWay.pause_s(took_s=0.01, senders=0) == 0
    assert GivingWay.pause_s(took_s=0.01, senders=10) == pytest.approx(0.2)


def test_a_commit_that_took_long_is_not_followed_by_hours() -> None:
    assert GivingWay.pause_s(took_s=30.0, senders=10_000) == 0.5


def test_senders_are_counted_while_they_wait() -> None:
    giving_way = GivingWay(HandClock())
    for _ in range(3):
        giving_way.sender_waits()
    assert giving_way.senders == 3
