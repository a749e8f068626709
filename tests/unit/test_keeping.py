"""A log that takes records and does not keep how far a group is: /readyz says so, and takes it back."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping

import pytest

from streams import keeping
from streams.clock import SystemClock
from streams.health import Health
from streams.keeping import Keeping
from streams.log import LogAway, TopicPartition
from tests.hooked_log import Hooks
from tests.runner_bench import arrivals
from tests.unit.test_runner_on_memory_log import MemoryBench
from tests.waiting import wait_until

REFUSED = LogAway("commit of group validate: UNKNOWN: Unknown broker error")


@pytest.fixture
def bench() -> Iterator[MemoryBench]:
    made = MemoryBench()
    yield made
    made.close()


def test_a_service_whose_offsets_are_not_kept_says_so_until_they_are(
    bench: MemoryBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PATIENCE_S", 0.3)
    full = threading.Event()
    full.set()

    def before_commit(_: Mapping[TopicPartition, int]) -> None:
        if full.is_set():
            raise REFUSED

    member = bench.member(hooks=Hooks(before_commit=before_commit))
    events = arrivals(2, 3)
    bench.send(events)
    why = wait_until(lambda: member.context.health.failing().get("offsets"), "the service saying so")
    assert "UNKNOWN: Unknown broker error" in why
    assert "__consumer_offsets" in why
    wait_until(lambda: len(bench.verdicts()) >= len(events), "work to go on meanwhile")
    bench.check(events)

    full.clear()
    bench.until_done()
    wait_until(lambda: "offsets" not in member.context.health.failing(), "the service taking it back")


def test_a_coordinator_that_moves_is_nothing_to_say() -> None:
    health = Health(SystemClock())
    kept = Keeping(health, SystemClock())
    kept.failed(REFUSED)
    kept.failed(REFUSED)
    assert "offsets" not in health.failing()
