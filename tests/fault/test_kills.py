"""Any part may be killed in the middle of a run: nothing acknowledged is lost, and the catalog ends the same."""

from __future__ import annotations

import os
import random

import pytest

from consumers.catalog.checksum import Checksum
from radstream.items import Item
from tests.pipeline_run import Load, catalog_checksum, run
from tests.running_stack import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.fault, pytest.mark.timeout(900)]

VICTIMS = ("validate", "derive", "revisions", "ai", "catalog", "router", "registry", "store", "postgres", "kafka")
# `make faults` asks for more.
ROUNDS = int(os.environ.get("RADSTREAM_FAULT_ROUNDS", "1"))


def round_of(number: int, images: int) -> tuple[list[str], list[int]]:
    """Whom to kill, and after how many acknowledged images. The first round is in order, later ones are drawn."""
    victims = list(VICTIMS)
    if number == 0:
        return victims, [(place + 1) * images // (len(victims) + 1) for place in range(len(victims))]
    chance = random.Random(number)
    chance.shuffle(victims)
    return victims, sorted(chance.randrange(1, images) for _ in victims)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_every_part_killed_once_in_one_run(
    fresh: RunningStack, items: list[Item], undisturbed: Checksum, number: int
) -> None:
    victims, moments = round_of(number, len(items))

    def kill_one_after_the_other(load: Load) -> None:
        for victim, moment in zip(victims, moments, strict=True):
            load.wait_for(moment)
            fresh.kill(victim)
            fresh.up()

    disturbed = run(fresh, items, kill_one_after_the_other)
    assert disturbed.differing(undisturbed) == []
    assert disturbed.total == undisturbed.total
    assert catalog_checksum(fresh).tables["instances"].rows == len(items)
