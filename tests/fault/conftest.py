"""What fault tests share: a disk of their own, and a stack of their own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from consumers.catalog.checksum import Checksum
from radstream.items import Item
from radstream.phantom import encoded
from tests.pipeline_run import undisturbed_checksum
from tests.power import PowerDisk
from tests.running_stack import NO_MODELS, RunningStack, new_home, started

DISK_BYTES = 3 << 30
SEED, SLICES = 20, (2, 80, 80)


@contextmanager
def mounted() -> Iterator[PowerDisk]:
    folder = new_home()
    try:
        made = PowerDisk(folder, DISK_BYTES)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(folder)
        pytest.skip(f"no disk to cut off or to fill: it needs root, loop devices and ext4 ({type(error).__name__})")
    yield made
    made.remove()
    shutil.rmtree(folder)


@pytest.fixture
def disk() -> Iterator[PowerDisk]:
    with mounted() as made:
        yield made


@pytest.fixture(scope="module")
def disk_of_all() -> Iterator[PowerDisk]:
    """One for all tests of a file."""
    with mounted() as made:
        yield made


@pytest.fixture
def fresh() -> Iterator[RunningStack]:
    """A stack of its own, without models: its catalog holds one run and nothing else."""
    with started(deployments=NO_MODELS) as stack:
        yield stack


@pytest.fixture(scope="session")
def items() -> list[Item]:
    """The images of a run that is disturbed, and of the one that is not."""
    return list(encoded(SEED, SLICES, matrix=128))


@pytest.fixture(scope="session")
def undisturbed(items: list[Item]) -> Checksum:
    """The checksum of a run that nobody disturbed, on a stack of its own."""
    return undisturbed_checksum(items)
