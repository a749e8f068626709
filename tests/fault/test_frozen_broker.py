"""A broker that hangs and says nothing: a service that is told to end does, with what it holds given back or left."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from infra.local.parts.services import MODULES
from radstream.checks import services
from streams.config import Service
from tests.frozen import freeze
from tests.running_stack import NO_MODELS, RunningStack, started
from tests.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1200)]


@pytest.fixture
def hung() -> Iterator[RunningStack]:
    with started(deployments=NO_MODELS) as stack:
        freeze(stack.pid("kafka"))
        try:
            yield stack
        finally:
            stack.signal("kafka", signal.SIGCONT)


def knows(stack: RunningStack, name: str) -> bool:
    """That the log is away."""
    return any(one.found.startswith("log: ") for one in services.check(name, stack.config.section(name, Service)))


def test_each_service_ends_when_it_is_told_to(hung: RunningStack, capfd: pytest.CaptureFixture[str]) -> None:
    wait_until(lambda: all(knows(hung, name) for name in ("catalog", "revisions")), "them to know that the log is away")
    stopped = hung.down(tuple(MODULES))
    assert set(stopped) == set(MODULES)
    assert [line for line in capfd.readouterr().err.splitlines() if "did not stop in" in line] == []
