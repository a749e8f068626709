"""Store and log go and come back, and the router is killed meanwhile: senders notice nothing, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from producers.dicom_router.config import Settings
from producers.dicom_router.spool import aside
from producers.dicom_router.spool.census import SpoolCensus, census
from radstream.items import Item
from radstream.phantom import encoded
from radstream.sending import send_items
from tests.pipeline_run import catalog_checksum, lost, router_of, settled
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.fault, pytest.mark.timeout(1800)]

SLICES = (2, 12, 12)


def folder_of(stack: RunningStack) -> Path:
    folder = stack.config.section("router", Settings).spool.folder
    assert folder is not None
    return folder


def held(stack: RunningStack) -> SpoolCensus:
    return census(folder_of(stack))


def send(stack: RunningStack, items: list[Item]) -> None:
    """No sender tries twice: each is told 0x0000 the first time."""
    assert send_items(items, router_of(stack), associations=4, retries=0).statuses == {"0000": len(items)}


def all_arrived(stack: RunningStack, items: list[Item], before: int) -> None:
    settled(stack)
    assert lost(stack, items) == []
    assert catalog_checksum(stack).tables["instances"].rows == before + len(items)
    assert aside.count(folder_of(stack)) == 0


def test_nothing_is_refused_and_nothing_is_lost_while_parts_go_and_the_router_is_killed(stack: RunningStack) -> None:
    batches = [list(encoded(seed, SLICES, matrix=64)) for seed in (41, 42, 43)]
    sent: list[Item] = []
    # Of tests before there may be something on its way.
    settled(stack)
    before = catalog_checksum(stack).tables["instances"].rows

    stack.down(("store",))
    send(stack, batches[0])
    sent += batches[0]
    assert len(held(stack).waiting) == len(batches[0])
    stack.up(("store",))
    all_arrived(stack, sent, before)

    stack.kill("kafka")
    send(stack, batches[1])
    sent += batches[1]
    # A router that starts while the log is away takes associations all the same, and has what it had.
    stack.kill("router")
    stack.up(("router",))
    assert len(held(stack).waiting) == len(batches[1])
    send(stack, batches[2])
    sent += batches[2]
    stack.up(("kafka",))
    stack.up()
    wait_until(lambda: len(held(stack).waiting) < len(batches[1]) + len(batches[2]), "the drain to begin")
    stack.kill("router")
    stack.up(("router",))
    all_arrived(stack, sent, before)
