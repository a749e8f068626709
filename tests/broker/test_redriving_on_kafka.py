"""A redrive on the real broker: in a consumer group of its own, back to the group that gave up, once."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from streams.letters import letters
from streams.redriving import redrive_one
from streams.redriving_group import Busy, alone
from tests.broker.test_runner_on_kafka import KafkaBench
from tests.hooked_log import everything
from tests.runner_bench import CLOCK, GROUP, RECEIVED, RETRY
from tests.running_stack import RunningStack
from tests.unit.test_redriving import died

pytestmark = pytest.mark.stack


@pytest.fixture
def bench(stack: RunningStack) -> Iterator[KafkaBench]:
    made = KafkaBench(stack)
    yield made
    made.close()


def test_a_record_that_died_is_processed_once_the_cause_is_mended(bench: KafkaBench) -> None:
    broken = threading.Event()
    events = died(bench, broken)
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
