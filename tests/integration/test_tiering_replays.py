"""Events name instances: what was moved is found by validate and derive when they are made to look at it again."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner

from radstream.__main__ import cli
from radstream.phantom import Study, encoded
from streams.config import Store
from streams.s3 import S3Store
from tests.pipeline_run import Load, settled
from tests.running_stack import RunningStack

pytestmark = pytest.mark.stack

STUDY = Study(seed=4711, slices=(1, 4, 3), matrix=64)
IMAGES = 8


def facts(stack: RunningStack, *arguments: str) -> Any:
    done = CliRunner().invoke(cli, [*arguments, "--json", "--config", str(stack.config_path)])
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def moved(stack: RunningStack) -> str:
    """A study whose received images are in the warm store by now, and nowhere else but in the backup."""
    load = Load(stack, list(encoded(STUDY.seed, STUDY.slices, STUDY.matrix)))
    assert load.finish().statuses == {"0000": IMAGES}
    settled(stack)
    at = (datetime.now(UTC) + timedelta(days=40)).isoformat()
    facts(stack, "tier", "run", "--now", at, "--study", STUDY.uid, "--yes")
    store = S3Store(stack.config.section("store", Store))
    assert [key for key, _ in store.keys("hot") if f"/studies/{STUDY.uid}/" in key] == []
    assert len([key for key, _ in store.keys("warm") if f"/studies/{STUDY.uid}/" in key]) >= IMAGES
    return STUDY.uid


@pytest.mark.parametrize("step", ["validate", "derive"])
def test_a_replay_after_a_move_makes_the_same_of_the_same_bytes(stack: RunningStack, moved: str, step: str) -> None:
    report = facts(stack, "replay", "run", step, "--study", moved)
    assert (report["complete"], report["left_behind"]) == (True, 0)
    compared = facts(stack, "replay", "compare", step, str(report["generation"]))
    assert compared["equal"]
    assert compared["same"] >= IMAGES
