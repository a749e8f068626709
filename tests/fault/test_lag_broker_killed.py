"""A broker that is killed under those who watch it is shown and survived: nobody who asks for offsets dies with it."""

from __future__ import annotations

import pytest

from tests.running_stack import RunningStack
from tests.waiting import wait_until
from tests.watching import metric, watching

pytestmark = [pytest.mark.stack, pytest.mark.fault, pytest.mark.timeout(1200)]

# `revisions` and `tiering` ask for the offsets of their groups too.
WATCHERS = ("lag", "windows", "revisions", "tiering")


def measured_at(stack: RunningStack) -> float:
    return metric(stack, "lag", "radstream_lag_measured_timestamp_seconds") or 0.0


def test_a_killed_broker_is_shown_and_survived(stack: RunningStack) -> None:
    before = {name: stack.pid(name) for name in WATCHERS}
    with watching(stack) as watch:
        known = watch.until(lambda look: look["away"] is None, "a first measurement")
        stack.kill("kafka")
        away = watch.until(lambda look: look["away"] is not None, "the broker to be away")
        # What was seen last is still there, and says of when it is.
        assert len(away["lanes"]) == len(known["lanes"])
        assert away["measured_at"] < away["at"]
        stack.up(("kafka",))
        back = watch.until(lambda look: look["away"] is None, "the broker to be back")
    assert back["measured_at"] == back["at"]
    last = measured_at(stack)
    wait_until(lambda: measured_at(stack) > last, "the service to measure again")
    assert {name: stack.pid(name) for name in WATCHERS} == before
