"""The disk fills up in the middle of a run: senders are told so, and what was acknowledged before is there after."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.local.errors import StackError
from infra.local.stack import Stack
from producers.dicom_router.spool.census import census
from radstream.doctor import examine
from radstream.errors import Failure
from radstream.phantom import encoded
from radstream.sending import SUCCESS, TRY_AGAIN, Sent, send_items
from tests.pipeline_run import lost, router_of, settled
from tests.power import PowerDisk
from tests.running_stack import NO_MODELS, SOON, RunningStack
from tests.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(2400)]

SLICES = (2, 7, 7)
# Longer than a service waits before it says that its offsets are not kept.
LOOK_S = 30.0


def test_a_start_on_a_full_disk_says_so(disk: PowerDisk) -> None:
    disk.fill()
    with pytest.raises(StackError, match=r"only \d+ MiB free on its disk.*make room"):
        Stack(disk.path / "home").up()


@pytest.fixture(scope="module")
def filled(disk_of_all: PowerDisk) -> Iterator[RunningStack]:
    """A stack on a disk of its own, up when a test begins."""
    stack = RunningStack(disk_of_all.path / "home", say=lambda line: print(line, file=sys.stderr))  # noqa: T201
    stack.deploy(NO_MODELS, SOON)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
        wait_until(disk_of_all.is_pulled_out, "the last process to let go of the disk")


def test_nothing_is_acknowledged_and_lost_on_a_full_disk(disk_of_all: PowerDisk, filled: RunningStack) -> None:
    items = list(encoded(31, SLICES, matrix=256))
    answers: dict[str, Sent] = {}

    def note(sent: Sent) -> None:
        answers[sent.name] = sent

    half = len(items) // 2
    assert send_items(items[:half], router_of(filled)).acknowledged == half
    filler = disk_of_all.fill()
    # Each may wait for the broker as long as the router's patience lasts: all at once.
    send_items(items[half:], router_of(filled), associations=len(items) - half, retries=0, on_sent=note)
    refused = [sent for sent in answers.values() if sent.status != SUCCESS]
    assert refused, "a full disk was not noticed"
    assert {sent.status for sent in refused} <= {TRY_AGAIN, None}

    filler.unlink()
    wait_until(filled.comes_up, "the stack to run again")
    result = send_items(items, router_of(filled), retries=20)
    assert result.statuses == {"0000": len(items)}
    wait_until(lambda: ends_well(filled), "everything to be done", deadline_s=600)
    assert lost(filled, items) == []


def test_a_spool_on_another_disk_takes_what_a_full_one_does_not(
    disk_of_all: PowerDisk, filled: RunningStack, tmp_path: Path
) -> None:
    items = list(encoded(32, SLICES, matrix=256))
    spool = tmp_path / "spool"
    text = filled.config_path.read_text(encoding="utf-8")
    filled.config_path.write_text(text.replace(str(filled.home / "data" / "router" / "spool"), str(spool)))
    filled.down(("router",))
    filled.up()
    filler = disk_of_all.fill()
    # Nobody is refused, and nobody tries twice.
    assert send_items(items, router_of(filled), associations=4, retries=0).statuses == {"0000": len(items)}
    assert census(spool).waiting

    filler.unlink()
    wait_until(filled.comes_up, "the stack to run again")
    wait_until(lambda: not census(spool).waiting, "the spool to be drained", deadline_s=600)
    wait_until(lambda: ends_well(filled), "everything to be done", deadline_s=600)
    assert lost(filled, items) == []


def ends_well(stack: RunningStack) -> bool:
    """Looks once. A broker may find out late that its disk was full, and end then: whoever keeps the stack starts it
    again. Or it goes on and keeps no offsets any more, which the doctor says, and that it has to be started anew.
    """
    if any(one.state == "broken" and "__consumer_offsets" in one.found for one in examine(stack.config)):
        stack.down(("kafka",))
    if not stack.comes_up():
        return False
    try:
        settled(stack, within_s=LOOK_S)
    except (Failure, AssertionError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - what is left, if that is how it ends
        return False
    return True
