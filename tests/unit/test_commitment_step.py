"""The step on a log in memory: who waits for what, until when, and that a second look says what the first one said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from msgspec import structs

from consumers.commitment.judging import Content
from streams.commitment_turns import Turns
from streams.memory_log import MemoryLog
from streams.metrics import COMMITMENT_REPORTS
from tests.commitment_world import World, with_topics
from tests.unit.test_commitment_judging import CT, reasons, request
from tests.waiting import wait_until

NO_NODE = COMMITMENT_REPORTS.labels("-", "no_node")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "nodes.toml", with_topics(MemoryLog()))


def asked(world: World, *uids: str, event_id: str = "first") -> None:
    made = request(*((CT, uid) for uid in uids), event_id=event_id)
    world.write(structs.replace(made, meta=structs.replace(made.meta, occurred_at=world.clock.now())))


def test_what_is_safe_is_committed_at_once(world: World) -> None:
    world.shelf.holds(CT, "1.1", "1.2")
    with world.running():
        asked(world, "1.1", "1.2")
        (result,) = wait_until(world.results, "the result")
    assert reasons(result) == {"1.1": 0, "1.2": 0}
    assert (result.request_event_id, result.copies, result.source.calling_ae) == ("first", 2, "CT1")


def test_what_comes_late_is_waited_for(world: World) -> None:
    world.shelf.holds(CT, "1.1")
    world.shelf.holds(CT, "1.2", copies=1)
    with world.running():
        asked(world, "1.1", "1.2", "1.3")
        wait_until(world.shelf.asked.is_set, "a look")
        world.shelf.holds(CT, "1.2", "1.3")
        (result,) = wait_until(world.results, "the result")
    assert reasons(result) == {"1.1": 0, "1.2": 0, "1.3": 0}


def test_what_is_held_is_waited_for_until_a_person_has_decided(world: World) -> None:
    world.shelf.contents = {"1.1": [Content(CT, 2, held=True)], "1.2": [Content(CT, 2, held=True)]}
    with world.running():
        asked(world, "1.1", "1.2")
        wait_until(world.parked, "it waits")
        assert world.results() == []
        world.shelf.holds(CT, "1.1")
        world.clock.ahead_s = world.settings.deadline_s + 1
        (result,) = wait_until(world.results, "the result")
    assert reasons(result) == {"1.1": 0, "1.2": 0x0110}


def test_a_request_that_comes_before_the_corrected_image_is_known_waits_for_it(world: World) -> None:
    """It is on the router's spool, or the catalog is behind: what is known is the rejected one alone."""
    rejected = Content(CT, 2, rejected=True)
    world.shelf.contents = {"1.1": [rejected]}
    with world.running():
        asked(world, "1.1")
        wait_until(lambda: world.results() or world.parked(), "a look")
        assert world.results() == []
        world.shelf.contents = {"1.1": [replace(rejected, superseded=True), Content(CT, 2)]}
        (result,) = wait_until(world.results, "the result")
    assert reasons(result) == {"1.1": 0}


def test_a_catalog_that_is_behind_promises_nothing_however_late(world: World) -> None:
    """What it knows may be an image that its sender has replaced since."""
    world.shelf.holds(CT, "1.1")
    world.shelf.lacks = True
    with world.running():
        asked(world, "1.1")
        world.clock.ahead_s = world.settings.deadline_s + 1
        parked = wait_until(world.parked, "a look")
        wait_until(lambda: world.parked() > parked, "another look")
        assert world.results() == []
        world.shelf.contents["1.1"].append(Content(CT, 0))
        world.shelf.lacks = False
        (result,) = wait_until(world.results, "the result")
    assert reasons(result) == {"1.1": 0x0110}


def test_what_was_rejected_and_never_corrected_is_said_when_its_time_is_over(world: World) -> None:
    world.shelf.contents = {"1.1": [Content(CT, 2)], "1.2": [Content(CT, 2, rejected=True)]}
    with world.running():
        asked(world, "1.1", "1.2")
        wait_until(lambda: world.results() or world.parked(), "a look")
        assert world.results() == []
        world.clock.ahead_s = world.settings.deadline_s + 1
        (result,) = wait_until(world.results, "the result")
    assert reasons(result) == {"1.1": 0, "1.2": 0x0110}


def test_when_its_time_is_over_each_has_its_reason(world: World) -> None:
    world.shelf.holds(CT, "1.1")
    world.shelf.holds(CT, "1.2", copies=1)
    with world.running():
        asked(world, "1.1", "1.2", "1.3")
        wait_until(world.shelf.asked.is_set, "a look")
        assert world.results() == []
        world.clock.ahead_s = world.settings.deadline_s + 1
        (result,) = wait_until(world.results, "the result")
    assert reasons(result) == {"1.1": 0, "1.2": 0x0110, "1.3": 0x0112}


def test_a_catalog_that_is_away_or_behind_is_waited_for(world: World) -> None:
    world.shelf.holds(CT, "1.1")
    world.shelf.away = world.shelf.behind = True
    with world.running():
        asked(world, "1.1")
        wait_until(world.shelf.asked.is_set, "a look")
        world.shelf.away = False
        world.shelf.asked.clear()
        wait_until(world.shelf.asked.is_set, "another look")
        assert world.results() == []
        world.shelf.behind = False
        assert len(wait_until(world.results, "the result")) == 1


def test_the_same_request_again_gets_the_same_answer(world: World) -> None:
    """Also where the catalog says otherwise by then: what was said was said."""
    world.shelf.holds(CT, "1.1")
    with world.running():
        asked(world, "1.1")
        wait_until(world.results, "the result")
        world.shelf.contents.clear()
        world.clock.ahead_s = world.settings.deadline_s + 1
        asked(world, "1.1")
        world.clock.ahead_s *= 3
        wait_until(lambda: len(world.results()) == 2, "the second record")
    first, second = world.results()
    assert first.meta.event_id == second.meta.event_id
    assert first.committed == second.committed
    assert not second.failed


def test_a_requester_without_a_node_is_tried_until_its_time_is_over(world: World) -> None:
    tried = NO_NODE._value.get()
    world.shelf.holds(CT, "1.1")
    with world.running():
        asked(world, "1.1")
        wait_until(lambda: NO_NODE._value.get() >= tried + 2, "two tries")
        assert world.reports() == []
        world.clock.ahead_s = world.settings.report_s_max + 1
        (report,) = wait_until(world.reports, "the end of it")
    assert (report.outcome, report.node, report.status) == ("abandoned", None, None)
    assert report.detail == "no node has the AE title CT1; enter it: radstream modality add"


def test_a_requester_without_a_node_is_left_to_the_association_that_asked(world: World) -> None:
    """It has much to be told, one after the other, and nobody else can."""
    tried = NO_NODE._value.get()
    world.shelf.holds(CT, "1.1")
    asked(world, "1.1")
    with world.running():
        wait_until(lambda: NO_NODE._value.get() >= tried + 2, "two tries")
        (result,) = world.results()
        turns = Turns(world.store, world.clock)
        assert turns.take(result, "association")[1]
        turns.tell(result, 0)
        wait_until(world.reports, "what became of it")
    assert [report.outcome for report in world.reports()] == ["delivered"]


def test_a_file_of_nodes_that_breaks_is_a_reason_to_wait(world: World) -> None:
    world.nodes.write_text("[ct-1\n")
    tried = NO_NODE._value.get()
    world.shelf.holds(CT, "1.1")
    with world.running():
        asked(world, "1.1")
        wait_until(lambda: NO_NODE._value.get() >= tried + 2, "two tries")
    assert world.reports() == []
