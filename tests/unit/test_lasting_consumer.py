"""A service that the log does not take into its consumer group any more: it stays, says so, and goes on by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence

import pytest

from streams import keeping
from streams.log import ClientOver
from streams.wire import Record
from tests.hooked_log import Hooks
from tests.runner_bench import arrivals
from tests.unit.test_runner_on_memory_log import MemoryBench
from tests.waiting import wait_until

REFUSED = "group validate: _FATAL: ConsumerGroupHeartbeat fatal error: Unknown broker error"


@pytest.fixture
def bench() -> Iterator[MemoryBench]:
    made = MemoryBench()
    yield made
    made.close()


class Refusing:
    """A coordinator that lets nobody in while it is `closed`."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.refused = 0

    def __call__(self, _: Sequence[Record]) -> None:
        if self.closed.is_set():
            self.refused += 1
            raise ClientOver(REFUSED)


def test_a_client_that_gave_itself_up_is_replaced_and_nothing_is_skipped(bench: MemoryBench) -> None:
    coordinator = Refusing()
    member = bench.member(hooks=Hooks(polled=coordinator))
    events = arrivals(2, 3)
    bench.send(events)
    bench.until_done()

    coordinator.closed.set()
    wait_until(lambda: coordinator.refused >= 2, "two clients that were refused")
    more = arrivals(2, 3)
    bench.send(more)
    coordinator.closed.clear()
    bench.until_done()
    bench.check(events + more)
    member.stop()


def test_a_service_that_stays_outside_its_group_says_so_until_it_is_let_in(
    bench: MemoryBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PATIENCE_S", 0.3)
    coordinator = Refusing()
    coordinator.closed.set()
    member = bench.member(hooks=Hooks(polled=coordinator))
    events = arrivals(2, 3)
    bench.send(events)
    why = wait_until(lambda: member.context.health.failing().get("group"), "the service saying so")
    assert REFUSED in why
    assert "__consumer_offsets" in why

    coordinator.closed.clear()
    bench.until_done()
    bench.check(events)
    wait_until(lambda: "group" not in member.context.health.failing(), "the service taking it back")
    member.stop()


def test_one_refusal_is_nothing_to_say(bench: MemoryBench) -> None:
    coordinator = Refusing()
    coordinator.closed.set()
    member = bench.member(hooks=Hooks(polled=coordinator))
    wait_until(lambda: coordinator.refused, "a client that was refused")
    assert "group" not in member.context.health.failing()
    member.stop()
