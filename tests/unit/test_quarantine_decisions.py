"""`radstream quarantine release` and `reject`: written once, with who and why; refused before anything is written."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest
from msgspec import structs

from radstream.errors import Failure
from streams.events import (
    InputRef,
    InstanceQuarantined,
)
from tests.event_streams import write
from tests.import_events import DISC
from tests.quarantine_events import assessed_as_strange
from tests.quarantine_world import WHY, World, world_of


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return world_of(tmp_path, monkeypatch)


def test_a_release_says_who_and_why_and_brings_what_is_needed_to_let_it_flow(world: World) -> None:
    done = world.decide("release", "--as", "night.shift")

    assert done.exit_code == 0, done.output
    assert "released by night.shift" in done.stdout
    (command,) = world.commands()
    assert (command.action, command.actor, command.code) == ("released", "night.shift", "truncated")
    assert (command.instance, command.object) == (world.held.instance, world.held.object)
    assert (command.technical, command.source) == (world.image.technical, world.image.source)
    assert world.hospital.blocks.read(command.why)["Note"] == WHY  # type: ignore[index]
    (audit,) = world.audits()
    assert (audit.action, audit.meta.subject) == ("quarantine_released", world.held.instance.digest)
    assert audit.attributes["as"] == "night.shift"
    assert audit.attributes["why_block"] == command.why.block_id
    assert WHY not in repr(audit)


@pytest.mark.parametrize(("action", "said"), [("release", "released"), ("reject", "rejected")])
def test_what_is_asked_for_twice_is_written_once(world: World, action: str, said: str) -> None:
    assert world.decide(action).exit_code == 0
    again = world.decide(action)
    assert again.exit_code == 0
    assert f"nothing was done: it was {said}" in again.stdout
    assert len(world.commands()) == len(world.audits()) == 1
    assert not json.loads(world.decide(action, "--json").stdout)["written"]


def test_the_other_decision_needs_to_be_asked_for_again(world: World) -> None:
    world.decide("reject")
    refused = world.decide("release")
    assert isinstance(refused.exception, Failure)
    assert "it was rejected by" in str(refused.exception)
    assert "--again" in str(refused.exception)
    assert len(world.commands()) == 1
    assert world.decide("release", "--again").exit_code == 0
    assert world.decide("reject", "--again").exit_code == 0
    assert world.decide("release", "--again").exit_code == 0
    assert [one.action for one in world.commands()] == ["rejected", "released", "rejected", "released"]
    assert len({one.meta.event_id for one in world.commands()}) == 4


@pytest.mark.parametrize("code", ["unidentifiable", "illegal_uid", "uids_differ", "hash_mismatch"])
def test_what_has_no_name_of_its_own_is_not_released_and_nothing_is_written(world: World, code: str) -> None:
    write(world.log, [world.hospital.quarantined(world.image, generation=2, code=code)])
    refused = world.decide("release")
    assert isinstance(refused.exception, Failure)
    assert f"held as {code} cannot be released, because" in str(refused.exception)
    assert world.commands() == []
    assert world.audits() == []
    assert world.decide("reject").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--reason", " "), "--reason: say why"),
        (("--reason", "x", "--as", "Doe, Jane"), "--as: an account has"),
    ],
)
def test_a_decision_without_a_reason_or_a_name_is_refused(world: World, arguments: tuple[str, ...], said: str) -> None:
    refused = world.run("release", world.held.instance.digest, *arguments)
    assert said in str(refused.exception)
    assert world.commands() == []


def test_an_instance_is_named_by_its_uid_its_digest_or_the_beginning_of_it(world: World) -> None:
    for name in (world.held.instance.sop_instance_uid, world.held.instance.digest[:8].upper()):
        found = json.loads(world.run("show", name, "--json").stdout)
        assert found["held"]["digest"] == world.held.instance.digest
    for name in (world.held.instance.digest[:7], "1.2.3"):
        assert "nothing is or was held under" in str(world.run("show", name).exception)


def test_show_says_why_from_where_what_to_do_and_what_was_decided(world: World) -> None:
    text = world.run("show", world.held.instance.digest[:12]).stdout
    assert "held as truncated by validate" in text
    assert "what to do: Send it again" in text
    assert f"from {world.image.source.calling_ae} to {world.image.source.called_ae}" in text
    assert world.held.object.key in text
    assert "nobody has decided yet" in text
    world.decide("reject", "--as", "night.shift")
    text = world.run("show", world.held.instance.digest[:12]).stdout
    assert "rejected by night.shift at" in text
    assert f"because: {WHY}" in text


def test_the_list_has_what_waits_and_with_all_what_was_decided(world: World) -> None:
    def listed(*arguments: str) -> list[tuple[str, str]]:
        found = json.loads(world.run("list", *arguments, "--json").stdout)["held"]
        return [(one["digest"], one["state"]) for one in found]

    digest, study = world.held.instance.digest, world.held.instance.study_uid
    assert listed() == listed("--open") == listed("--study", study) == [(digest, "open")]
    assert listed("--code", "truncated") == listed("--since", "2020-01-01") == [(digest, "open")]
    assert listed("--study", "1.2.3") == listed("--code", "unreadable") == listed("--since", "2100-01-01") == []
    world.decide("release", "--as", "night.shift")
    assert listed() == []
    assert listed("--all") == [(digest, "released")]
    assert "released by night.shift" in world.run("list", "--all").stdout


def test_of_several_generations_the_latest_says_why(world: World) -> None:
    write(world.log, [world.hospital.quarantined(world.image, generation=2, code="unreadable")])
    (one,) = json.loads(world.run("list", "--json").stdout)["held"]
    assert one["code"] == "unreadable"
    assert datetime.fromisoformat(one["held_at"]) == world.held.meta.occurred_at, "it has been held since the first"


def contradicting(world: World) -> InstanceQuarantined:
    """The image is valid by itself, and held since its study was assessed: that event names the study's revision."""
    (image,) = world.hospital.study("P2", "DOE", series=1, images=1)
    image = structs.replace(image, outside=DISC)
    revision = world.hospital.revision([image])
    write(world.log, [image, world.hospital.validated(image), revision])
    read = InputRef(
        topic="imaging.study.revision", topic_id="x", partition=0, offset=0, event_id=revision.meta.event_id
    )
    held = assessed_as_strange(world.hospital, image)
    held = structs.replace(held, provenance=structs.replace(held.provenance, inputs=(read,)))
    write(world.log, [held])
    return held


def test_what_is_held_beside_its_study_is_released_as_what_it_came_as(world: World) -> None:
    held = contradicting(world)
    assert world.run("release", held.instance.digest, "--reason", WHY).exit_code == 0
    (command,) = world.commands()
    assert command.outside == DISC, "else it is sent on under another hospital's patient ID"
    assert command.technical == world.image.technical
    assert command.source is not None
    assert command.source.calling_ae == "CT1"


def test_a_release_for_one_reason_is_none_of_another_patient(world: World) -> None:
    digest = world.held.instance.digest
    assert world.decide("release").exit_code == 0
    write(world.log, [assessed_as_strange(world.hospital, world.image)])
    (one,) = json.loads(world.run("list", "--json").stdout)["held"]
    assert (one["digest"], one["code"], one["state"]) == (digest, "contradicts_patient", "open")
    assert json.loads(world.decide("release", "--json").stdout)["written"]
    assert [one.code for one in world.commands()] == ["truncated", "contradicts_patient"]
    assert json.loads(world.run("list", "--json").stdout)["held"] == []
    assert not json.loads(world.decide("release", "--json").stdout)["written"]
