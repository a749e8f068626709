"""What every test may ask for: one running stack for the whole session, the shared corpus, and what is logged."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.logged import captured
from tests.running_stack import SOON, RunningStack, started

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT.parent / "shared" / "corpus"
# The fixtures that give the stack of all tests, and that of all fault tests.
SHARED = {"stack", "shared"}

# How long an example takes says something of the machine, and nothing of what is tested.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# As `radstream` itself has its logs: on a busy machine Kafka's client warns, and stdout is what a command prints.
structlog.configure(logger_factory=lambda *_: structlog.WriteLogger(sys.stderr))

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would every command that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks whoever asks for the stack of all: `make test` runs all others beside them."""
    if not SHARED.isdisjoint(getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.stack)


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """One stack for all tests, with ports of its own. Where it cannot start, the tests fail."""
    with started(settings=SOON) as running:
        yield running


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of foreign DICOM files that is beside the checkout, where there is one."""
    if not CORPUS.is_dir():
        pytest.skip("../shared/corpus is absent: foreign DICOM files are not tested")
    return CORPUS


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is logged while the test runs, a line of JSON for each event."""
    with captured() as stream:
        yield stream
