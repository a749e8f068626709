"""For how long, and up to what backlog, the drain leaves the machine to senders."""

from __future__ import annotations

from producers.dicom_router.spool.giving_way import GivingWay
from tests.routers import AdjustableClock


def test_it_gives_way_to_who_waits_and_for_half_a_second() -> None:
    clock = AdjustableClock()
    giving_way = GivingWay(clock)
    assert not giving_way.now(0)
    giving_way.sender_waits()
    assert giving_way.now(0)
    clock.ahead_s = 0.6
    assert not giving_way.now(0)


def test_a_gigabyte_on_one_disk_waits_for_nobody() -> None:
    giving_way = GivingWay(AdjustableClock())
    giving_way.sender_waits()
    assert giving_way.now((1 << 30) - 1)
    assert not giving_way.now(1 << 30)
