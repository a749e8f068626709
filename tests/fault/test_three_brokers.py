"""With three brokers one may die: images go on being acknowledged, and none of them is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from radstream.phantom import encoded
from tests.pipeline_run import Load, catalog_checksum, run
from tests.running_stack import NO_MODELS, SOON, RunningStack, started

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]

SLICES = (2, 40, 40)


@pytest.fixture
def three() -> Iterator[RunningStack]:
    with started(brokers=3, deployments=NO_MODELS, settings=SOON) as stack:
        yield stack


def test_a_broker_dies_and_the_others_go_on(three: RunningStack) -> None:
    victim = "kafka-2"
    items = list(encoded(41, SLICES, matrix=128))
    without: list[int] = []

    def kill_one(load: Load) -> None:
        load.wait_for(len(items) // 3)
        three.kill(victim)
        before = len(load.acknowledged)
        load.wait_for(2 * len(items) // 3)
        without.append(len(load.acknowledged) - before)
        assert victim not in three.running()
        three.up()

    run(three, items, kill_one)
    assert without[0] > 0
    assert catalog_checksum(three).tables["instances"].rows == len(items)
