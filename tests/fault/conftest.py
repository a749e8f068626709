"""What fault tests share: a disk of their own, and stacks that they may hurt."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from consumers.catalog.checksum import Checksum
from radstream.items import Item
from radstream.phantom import encoded
from tests.pipeline_run import run
from tests.power import PowerDisk, mounted
from tests.running_stack import NO_MODELS, SOON, RunningStack, new_home, started

DISK_BYTES = 3 << 30
SEED, SLICES = 20, (2, 80, 80)


@contextmanager
def disk_of_a_stack() -> Iterator[PowerDisk]:
    folder = new_home()
    try:
        with mounted(folder, DISK_BYTES) as made:
            yield made
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def disk() -> Iterator[PowerDisk]:
    with disk_of_a_stack() as made:
        yield made


@pytest.fixture(scope="module")
def disk_of_all() -> Iterator[PowerDisk]:
    """One for all tests of a file."""
    with disk_of_a_stack() as made:
        yield made


@pytest.fixture
def fresh() -> Iterator[RunningStack]:
    """A stack of its own, without models: its catalog holds one run and nothing else."""
    with started(deployments=NO_MODELS, settings=SOON) as stack:
        yield stack


@dataclass(frozen=True)
class Shared:
    """A stack that watches a folder, and what its catalog summed up to after the first run on it."""

    stack: RunningStack
    first: Checksum


@pytest.fixture(scope="session")
def shared(items: list[Item], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    """One for all tests that leave everything up again, so that the stack of all other tests is never hurt."""
    watch = f'watch = {{ folder = "{tmp_path_factory.mktemp("watched")}", settled_s = 0.2 }}'
    with started(deployments=NO_MODELS, settings={**SOON, "router": watch}) as stack:
        yield Shared(stack, run(stack, items, disturb=lambda _: None))


@pytest.fixture(scope="session")
def stack(shared: Shared) -> RunningStack:
    return shared.stack


@pytest.fixture(scope="session")
def items() -> list[Item]:
    """The images of a run that is disturbed, and of the one that is not."""
    return list(encoded(SEED, SLICES, matrix=128))


@pytest.fixture(scope="session")
def undisturbed(shared: Shared) -> Checksum:
    """The checksum of a run that nobody disturbed, on a stack that was new."""
    return shared.first
