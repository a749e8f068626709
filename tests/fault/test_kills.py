"""Any part may be killed in a run: nothing acknowledged is lost, the catalog ends the same, images are linked once."""

from __future__ import annotations

import json
import os
import random
from typing import Any

import pytest
from click.testing import CliRunner

from consumers.catalog.checksum import Checksum
from radstream.__main__ import cli
from radstream.items import Item
from tests.pipeline_run import Load, catalog_checksum, run
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1800)]

VICTIMS = (
    "validate",
    "derive",
    "revisions",
    "chains",
    "ai",
    "catalog",
    "router",
    "registry",
    "store",
    "postgres",
    "kafka",
)
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


def verified(stack: RunningStack) -> dict[str, Any]:
    """What `radstream verify` says of all originals."""
    command = ["verify", "--all", "--originals", "--json", "--config", str(stack.config_path)]
    found: dict[str, Any] = json.loads(CliRunner().invoke(cli, command).stdout)
    return found


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
    # By a chains service that begins anew: nothing twice, nothing left out, and signed without a hole.
    wait_until(lambda: verified(fresh)["links"] == len(items), "every image linked")
    report = verified(fresh)
    assert (report["sound"], report["links"], report["unlinked"]) == (True, len(items), 0), report
