"""With three brokers one may die: images go on being acknowledged, and none of them is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from radstream.phantom import encoded
from radstream.sending import send_items
from tests.pipeline_run import RETRIES, Load, catalog_checksum, lost, router_of, run
from tests.running_stack import NO_MODELS, SOON, RunningStack, started

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1200)]

SLICES = (2, 40, 40)


@pytest.fixture
def three() -> Iterator[RunningStack]:
    with started(brokers=3, deployments=NO_MODELS, settings=SOON) as stack:
        yield stack


def test_a_broker_dies_and_the_others_go_on(three: RunningStack) -> None:
    victim = "kafka-2"
    items = list(encoded(41, SLICES, matrix=128))
    # On their way when it dies, and sent while it is dead: where dying takes long, all of the first are there by then.
    first, without = items[: len(items) // 2], items[len(items) // 2 :]

    def kill_one(load: Load) -> None:
        load.wait_for(len(first) // 2)
        three.kill(victim)
        result = send_items(without, router_of(three), associations=4, retries=RETRIES)
        assert result.statuses == {"0000": len(without)}, result
        assert victim not in three.running()
        three.up()

    run(three, first, kill_one)
    assert lost(three, without) == []
    assert catalog_checksum(three).tables["instances"].rows == len(items)
