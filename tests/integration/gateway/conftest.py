"""One gateway of its own for all who attack it, with a study to be had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from radstream.phantom import chest_ct, encoded
from radstream.sending import send_items
from tests.gateway_process import IDLE_S, MATRIX, Target, gateway_process
from tests.pipeline_run import router_of, settled
from tests.running_stack import RunningStack

SEED, SLICES = 83, (1, 2, 3)


@pytest.fixture(scope="session")
def target(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    items = list(encoded(SEED, SLICES, matrix=MATRIX))
    assert send_items(items, router_of(stack)).statuses == {"0000": len(items)}
    settled(stack)
    one = next(iter(chest_ct(SEED, SLICES, MATRIX)))
    series = f"/studies/{one.StudyInstanceUID}/series/{one.SeriesInstanceUID}"
    with gateway_process(stack, tmp_path_factory.mktemp("hostile"), idle_timeout_s=IDLE_S) as gateway:
        yield Target(gateway, str(one.StudyInstanceUID), f"{series}/instances/{one.SOPInstanceUID}")
