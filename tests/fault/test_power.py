"""The power goes in the middle of a run: broker, store and database keep what they acknowledged."""

from __future__ import annotations

import os
import sys

import msgspec
import pytest

from consumers.catalog.checksum import Checksum
from infra.local import process
from infra.local.process import Running
from radstream.items import Item
from tests.pipeline_run import Load, run
from tests.power import PowerDisk
from tests.running_stack import NO_MODELS, SOON, RunningStack
from tests.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1800)]


def test_a_cut_loses_what_was_not_synced_and_nothing_else(disk: PowerDisk) -> None:
    """The control: a test that could not lose anything would prove nothing."""
    with (disk.path / "synced").open("wb") as file:
        file.write(b"kept")
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(disk.path, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    (disk.path / "not-synced").write_bytes(b"lost")
    disk.cut()
    disk.pull_out()
    disk.plug_in()
    assert (disk.path / "synced").read_bytes() == b"kept"
    assert not (disk.path / "not-synced").exists()
    disk.pull_out()


def test_nothing_acknowledged_is_lost_when_the_power_goes(
    disk: PowerDisk, items: list[Item], undisturbed: Checksum
) -> None:
    stack = RunningStack(disk.path / "home", say=lambda line: print(line, file=sys.stderr))  # noqa: T201
    stack.deploy(NO_MODELS, SOON)
    stack.up()

    def cut_and_start_again(load: Load) -> None:
        load.wait_for(len(items) // 2)
        running = [msgspec.json.decode(file.read_bytes(), type=Running) for file in (stack.home / "run").glob("*.json")]
        disk.cut()
        for part in running:
            process.kill(part)
        wait_until(disk.is_pulled_out, "the last process to let go of the disk")
        disk.plug_in()
        stack.up()

    try:
        disturbed = run(stack, items, cut_and_start_again)
        assert disturbed.differing(undisturbed) == []
        assert disturbed.total == undisturbed.total
    finally:
        stack.down()
        wait_until(disk.is_pulled_out, "the last process to let go of the disk")
