"""Any part may be killed in the middle of a run: nothing acknowledged is lost, and the catalog ends the same."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator

import pytest

from radstream.items import Item
from radstream.phantom import encoded
from tests.pipeline_run import Load, catalog_checksum, run
from tests.running_stack import RunningStack, new_home

pytestmark = [pytest.mark.stack, pytest.mark.fault, pytest.mark.timeout(900)]

VICTIMS = ("validate", "derive", "revisions", "catalog", "router", "registry", "store", "postgres", "kafka")
SEED = 20
SLICES = (2, 80, 80)


@pytest.fixture
def items() -> list[Item]:
    return list(encoded(SEED, SLICES, matrix=128))


@pytest.fixture
def fresh() -> Iterator[RunningStack]:
    """A stack of its own: its catalog holds this run and nothing else."""
    stack = RunningStack(new_home(), say=lambda line: print(line, file=sys.stderr))  # noqa: T201
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
        shutil.rmtree(stack.home)


@pytest.fixture(scope="module")
def undisturbed() -> str:
    """The checksum of a run that nobody disturbed, on a stack of its own."""
    stack = RunningStack(new_home())
    try:
        stack.up()
        return run(stack, list(encoded(SEED, SLICES, matrix=128)), disturb=lambda _: None).total
    finally:
        stack.down()
        shutil.rmtree(stack.home)


def test_every_part_killed_once_in_one_run(fresh: RunningStack, items: list[Item], undisturbed: str) -> None:
    def kill_one_after_the_other(load: Load) -> None:
        step = len(items) // (len(VICTIMS) + 1)
        for number, victim in enumerate(VICTIMS, start=1):
            load.wait_for(number * step)
            fresh.kill(victim)
            fresh.up()

    assert run(fresh, items, kill_one_after_the_other).total == undisturbed
    assert catalog_checksum(fresh).tables["instances"].rows == len(items)
