"""A redrive on the real broker: in a consumer group of its own, back to the group that gave up, once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from streams.redriving import letters
from streams.redriving_group import Busy, alone, redrive_one
from tests.broker.test_runner_on_kafka import KafkaBench
from tests.hooked_log import everything
from tests.runner_bench import CLOCK, GROUP, RECEIVED, RETRY, arrivals
from tests.running_stack import RunningStack

pytestmark = pytest.mark.stack


@pytest.fixture
def bench(stack: RunningStack) -> Iterator[KafkaBench]:
    made = KafkaBench(stack)
    yield made
    made.close()


def test_a_record_that_died_is_processed_once_the_cause_is_mended(bench: KafkaBench) -> None:
    events, broken = arrivals(1, 3), threading.Event()

    def decide(item: object) -> None:
        if broken.is_set() and item.event.meta.subject == events[-1].meta.subject:  # type: ignore[attr-defined]
            raise ValueError("a fault of the code")

    broken.set()
    bench.send(events)
    bench.member(decide)
    bench.until_done()
    (letter,) = letters(bench.log, GROUP)
    assert letter.state == "open"

    broken.clear()
    producer = bench.log.producer()
    with alone(bench.log, GROUP):
        with pytest.raises(Busy), alone(bench.log, GROUP):
            pass
        redrive_one(bench.log, producer, letter, "tester", CLOCK.now())
    producer.close(5.0)
    bench.until_done()

    bench.check(events)
    assert len(everything(bench.log, RECEIVED)) == len(events)
    assert len(everything(bench.log, RETRY)) == 1
    assert [one.state for one in letters(bench.log, GROUP)] == ["redriven"]
