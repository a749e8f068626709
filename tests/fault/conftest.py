"""What fault tests share: a disk of their own, and a stack of their own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.power import PowerDisk
from tests.running_stack import NO_MODELS, RunningStack, new_home, started

DISK_BYTES = 3 << 30


@pytest.fixture
def disk() -> Iterator[PowerDisk]:
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
def fresh() -> Iterator[RunningStack]:
    """A stack of its own, without models: its catalog holds one run and nothing else."""
    with started(deployments=NO_MODELS) as stack:
        yield stack
