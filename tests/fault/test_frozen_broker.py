"""A broker that hangs under load and says nothing: each service that is told to end does, and nothing is lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from infra.local.parts.services import MODULES
from radstream.phantom import encoded
from tests.frozen import freeze
from tests.pipeline_run import Load, catalog_checksum, run
from tests.running_stack import NO_MODELS, SOON, RunningStack, started

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1200)]

SLICES = (2, 40, 40)


@pytest.fixture
def whole() -> Iterator[RunningStack]:
    with started(deployments=NO_MODELS, settings=SOON) as stack:
        yield stack


def test_each_service_ends_when_it_is_told_to(whole: RunningStack, capfd: pytest.CaptureFixture[str]) -> None:
    items = list(encoded(43, SLICES, matrix=128))

    def hang(load: Load) -> None:
        load.wait_for(len(items) // 3)
        freeze(whole.pid("kafka"))
        try:
            capfd.readouterr()
            whole.down(tuple(MODULES))
        finally:
            whole.signal("kafka", signal.SIGCONT)
        killed = [line for line in capfd.readouterr().err.splitlines() if "did not stop in" in line]
        whole.up()
        assert killed == []

    run(whole, items, hang)
    assert catalog_checksum(whole).tables["instances"].rows == len(items)
