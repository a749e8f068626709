"""The disk fills up in the middle of a run: senders are told so, and what was acknowledged before is there after."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from infra.local.errors import StackError
from infra.local.stack import Stack
from producers.dicom_router.spool.census import census
from radstream.phantom import encoded
from radstream.sending import SUCCESS, TRY_AGAIN, Sent, send_items
from tests.pipeline_run import lost, router_of, settled
from tests.power import PowerDisk
from tests.running_stack import NO_MODELS, RunningStack, new_home
from tests.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.fault, pytest.mark.timeout(600)]

SLICES = (2, 7, 7)


def fill(disk: PowerDisk) -> Path:
    """Takes all that is left; the blocks reserved for root too."""
    filler = disk.path / "filler"
    with filler.open("wb") as file:
        size = 256 << 20
        while size >= 4096:
            try:
                os.posix_fallocate(file.fileno(), file.seek(0, os.SEEK_END), size)
            except OSError:
                size //= 2
    return filler


def test_a_start_on_a_full_disk_says_so(disk: PowerDisk) -> None:
    fill(disk)
    with pytest.raises(StackError, match=r"only \d+ MiB free on its disk.*make room"):
        Stack(disk.path / "home").up()


def test_nothing_is_acknowledged_and_lost_on_a_full_disk(disk: PowerDisk) -> None:
    items = list(encoded(31, SLICES, matrix=256))
    stack = RunningStack(disk.path / "home", say=lambda line: print(line, file=sys.stderr))  # noqa: T201
    answers: dict[str, Sent] = {}

    def note(sent: Sent) -> None:
        answers[sent.name] = sent

    try:
        stack.up()
        half = len(items) // 2
        assert send_items(items[:half], router_of(stack)).acknowledged == half
        filler = fill(disk)
        # Each may wait for the broker as long as the router's patience lasts: all at once.
        send_items(items[half:], router_of(stack), associations=len(items) - half, retries=0, on_sent=note)
        refused = [sent for sent in answers.values() if sent.status != SUCCESS]
        assert refused, "a full disk was not noticed"
        assert {sent.status for sent in refused} <= {TRY_AGAIN, None}

        filler.unlink()
        # A broker that found its disk full may take a moment to end: whoever keeps the stack starts it again.
        wait_until(lambda: comes_up(stack), "the stack to run again", deadline_s=120)
        result = send_items(items, router_of(stack), retries=20)
        assert result.statuses == {"0000": len(items)}
        settled(stack)
        assert lost(stack, items) == []
    finally:
        stack.down()
        wait_until(disk.is_pulled_out, "the last process to let go of the disk")


def test_a_spool_on_another_disk_takes_what_a_full_one_does_not(disk: PowerDisk) -> None:
    items = list(encoded(32, SLICES, matrix=256))
    spool = new_home()
    stack = RunningStack(disk.path / "home", say=lambda line: print(line, file=sys.stderr))  # noqa: T201
    stack.deploy(NO_MODELS)
    text = stack.config_path.read_text(encoding="utf-8")
    stack.config_path.write_text(text.replace(str(stack.home / "data" / "router" / "spool"), str(spool / "spool")))
    try:
        stack.up()
        filler = fill(disk)
        # Nobody is refused, and nobody tries twice.
        assert send_items(items, router_of(stack), associations=4, retries=0).statuses == {"0000": len(items)}
        assert census(spool / "spool").waiting

        filler.unlink()
        wait_until(lambda: comes_up(stack), "the stack to run again", deadline_s=120)
        wait_until(lambda: not census(spool / "spool").waiting, "the spool to be drained", deadline_s=120)
        settled(stack)
        assert lost(stack, items) == []
    finally:
        stack.down()
        wait_until(disk.is_pulled_out, "the last process to let go of the disk")
        shutil.rmtree(spool)


def comes_up(stack: RunningStack) -> bool:
    try:
        stack.up()
    except StackError:
        return False
    return True
