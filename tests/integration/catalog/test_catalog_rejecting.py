"""`radstream quarantine reject` of an image that nothing ever held, beside a catalog that follows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from msgspec import structs

from radstream import (
    quarantine_deciding,
    quarantine_flowing,
    quarantine_replacing,
    quarantine_shared,
    quarantine_waiting,
)
from radstream.errors import Failure
from radstream.quarantine_asking import Told
from streams.config import Config
from streams.events import SUBJECTS, InstanceReceived, QuarantineCommand
from streams.held import OTHER_CONTENT
from streams.log import TopicPartition
from streams.wire import Record
from tests.catalog_config import catalog_config
from tests.catalogs import projected, rows
from tests.event_streams import write
from tests.quarantine_events import assessed_as_strange, held_as, let_go
from tests.quarantine_world import WHY, World, world_of

RECEIVED = SUBJECTS[InstanceReceived]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dsn: str) -> World:
    made = world_of(tmp_path, monkeypatch)
    (tmp_path / "radstream.toml").write_text(catalog_config(dsn))

    def shown(config: Config, commands: Sequence[QuarantineCommand], told: Told) -> None:
        """As where validate and the catalog run."""
        images = {one.instance.digest: one for one in made.received()}
        released = (images[one.instance.digest] for one in commands if one.action == "released")
        write(made.log, [let_go(made.hospital, image) for image in released])
        projected(dsn, made.log, made.hospital)
        quarantine_waiting.wait(config, commands, told)

    for module in (quarantine_deciding, quarantine_shared):
        monkeypatch.setattr(module, "wait", shown)
    monkeypatch.setattr(quarantine_deciding, "flow_by_now", quarantine_flowing.flow_by_now)
    monkeypatch.setattr(quarantine_deciding, "replaced", quarantine_replacing.replaced)
    return made


def flowing(world: World, dsn: str) -> list[InstanceReceived]:
    """Two images of a study that nothing holds."""
    images = world.hospital.study("P2", "ROE", series=1, images=2)
    write(world.log, [*images, *map(world.hospital.validated, images)])
    projected(dsn, world.log, world.hospital)
    return images


def served(dsn: str) -> set[object]:
    return {digest for (digest,) in rows(dsn, "SELECT digest FROM served_instances")}


@pytest.mark.parametrize("by", ["digest", "sop_instance_uid"])
def test_an_image_that_nothing_held_is_rejected_and_is_served_no_more(world: World, dsn: str, by: str) -> None:
    scout, other = flowing(world, dsn)
    name = getattr(scout.instance, by)
    done = world.run("reject", name, "--reason", WHY, "--as", "night.shift")

    assert done.exit_code == 0, done.output
    assert "rejected by night.shift" in done.stdout
    assert "nothing had held it, so it went wherever images of its study go" in done.stdout
    assert served(dsn) == {other.instance.digest}
    (command,) = world.commands()
    assert (command.action, command.code, command.actor) == ("rejected", "rejected", "night.shift")
    assert (command.instance, command.object, command.source) == (scout.instance, scout.object, scout.source)
    (audit,) = world.audits()
    assert (audit.action, audit.meta.subject) == ("quarantine_rejected", scout.instance.digest)
    assert audit.attributes["study"] == scout.instance.study_uid
    assert "it was rejected" in world.run("reject", name, "--reason", WHY).stdout, "asked for twice, it is written once"
    assert len(world.commands()) == 1


def test_what_one_scout_of_another_patient_began_is_ended_by_two_commands(world: World, dsn: str) -> None:
    scout, other = flowing(world, dsn)
    write(world.log, [assessed_as_strange(world.hospital, other)])
    assert world.run("reject", scout.instance.digest, "--reason", WHY).exit_code == 0
    done = world.run("release", "--study", scout.instance.study_uid, "--reason", WHY)
    assert "1 image released" in done.stdout
    assert "1 was decided otherwise before, and stays so" in done.stdout
    assert served(dsn) == {other.instance.digest}


def let_through_since(world: World, dsn: str) -> tuple[InstanceReceived, InstanceReceived]:
    """Two images of a study that validation held; a later generation holds the second alone."""
    hospital = world.hospital
    first, second = hospital.study("P3", "POE", series=1, images=2)
    write(world.log, [first, second, hospital.quarantined(first), hospital.quarantined(second)])
    claim = hospital.replay("validate", 2)
    write(world.log, [claim, hospital.validated(first, 2), hospital.quarantined(second, 2)])
    write(world.log, [hospital.came_to(claim, "switched")])
    projected(dsn, world.log, hospital)
    return first, second


@pytest.mark.parametrize(("action", "flow"), [("reject", 1), ("release", 2)])
def test_what_a_later_generation_let_through_waits_for_nobody(world: World, dsn: str, action: str, flow: int) -> None:
    """Before, who rejected its cut off sibling rejected it too, while it was being read."""
    first, second = let_through_since(world, dsn)
    asked = (action, "--study", first.instance.study_uid, "--reason", WHY)
    done = world.run(*asked)

    assert done.exit_code == 0, done.output
    assert f"1 image {action}" in done.stdout
    assert "1 was held before and flows by now" in done.stdout
    assert [one.instance.digest for one in world.commands()] == [second.instance.digest]
    assert len(served(dsn)) == flow
    assert first.instance.digest in served(dsn)
    assert world.run(*asked).exit_code == 0, "asked for twice, nothing more is done"
    assert world.run("reject", first.instance.digest, "--reason", WHY).exit_code == 0, "by its own name it is"
    assert first.instance.digest not in served(dsn)


def test_what_flows_by_now_stays_so_also_where_it_is_decided_again(world: World, dsn: str) -> None:
    first, _ = let_through_since(world, dsn)
    assert world.run("reject", "--study", first.instance.study_uid, "--reason", WHY).exit_code == 0
    again = world.run("release", "--study", first.instance.study_uid, "--reason", WHY, "--again")
    assert "1 image released" in again.stdout
    assert "1 was held before and flows by now" in again.stdout


def test_where_all_that_was_held_flows_by_now_nothing_is_done(world: World, dsn: str) -> None:
    hospital = world.hospital
    (image,) = hospital.study("P4", "COE", series=1, images=1)
    claim = hospital.replay("validate", 2)
    write(world.log, [image, hospital.quarantined(image), claim, hospital.validated(image, 2)])
    write(world.log, [hospital.came_to(claim, "switched")])
    projected(dsn, world.log, hospital)
    refused = world.run("reject", "--study", image.instance.study_uid, "--reason", WHY)
    assert isinstance(refused.exception, Failure)
    assert "nothing was done: what was held" in str(refused.exception)
    assert world.commands() == world.audits() == []


def test_who_rejected_by_a_slip_finds_it_and_takes_it_back(world: World, dsn: str) -> None:
    scout, other = flowing(world, dsn)
    digest = scout.instance.digest
    assert world.run("reject", digest, "--reason", WHY).exit_code == 0
    waiting, everything = (
        json.loads(world.run("list", which, "--json").stdout)["held"] for which in ("--open", "--all")
    )
    assert digest not in {one["digest"] for one in waiting}
    assert ("rejected", "rejected") in {(one["code"], one["state"]) for one in everything if one["digest"] == digest}
    assert f"from {scout.source.calling_ae} to" in world.run("show", digest).stdout

    refused = world.run("release", digest, "--reason", WHY)
    assert "it was rejected by" in str(refused.exception)
    assert world.run("release", digest, "--reason", WHY, "--again").exit_code == 0
    assert served(dsn) == {digest, other.instance.digest}
    released = world.commands()[-1]
    assert (released.technical, released.source) == (scout.technical, scout.source), "it flows as what it came as"


def test_what_is_in_no_study_or_is_named_by_a_beginning_is_not_rejected(world: World, dsn: str) -> None:
    scout, _ = flowing(world, dsn)
    for name in ("1.2.3", scout.instance.digest[:16]):
        refused = world.run("reject", name, "--reason", WHY)
        assert isinstance(refused.exception, Failure)
        assert "no image of a study has this SOP Instance UID or whole digest" in str(refused.exception)
    refused = world.run("release", scout.instance.digest, "--reason", WHY)
    assert "nothing is or was held under" in str(refused.exception)
    assert world.commands() == world.audits() == []


@pytest.mark.parametrize("first_is", ["open", "rejected"])
def test_a_uid_of_which_one_content_is_held_and_another_flows_names_neither(
    world: World, dsn: str, first_is: str
) -> None:
    """The wrong image was sent again, corrected, and is wrong again: who rejects the UID may mean either."""
    if first_is == "rejected":
        assert world.decide("reject").exit_code == 0
    again = sent_again(world, dsn)
    before = world.commands()
    refused = world.run("reject", again.instance.sop_instance_uid, "--reason", WHY)
    assert isinstance(refused.exception, Failure)
    assert "nothing was done" in str(refused.exception)
    assert world.held.instance.digest in str(refused.exception)
    assert f"{again.instance.digest} (flows)" in str(refused.exception)
    assert world.commands() == before

    assert world.run("reject", again.instance.digest, "--reason", WHY).exit_code == 0
    assert served(dsn) == set()


def sent_again(world: World, dsn: str) -> InstanceReceived:
    """Other content under the UID of the image that is held, which nothing holds."""
    (image,) = world.hospital.study("P1", "DOE", series=1, images=1)
    digest, name = image.instance.digest, world.held.instance
    instance = structs.replace(name, digest=digest)
    image = structs.replace(image, instance=instance)
    write(world.log, [image, world.hospital.validated(image)])
    projected(dsn, world.log, world.hospital)
    assert served(dsn) == {digest}
    return image


def second_under_the_uid_of(world: World, dsn: str, first: InstanceReceived, code: str) -> InstanceReceived:
    """Other content, which is held."""
    names = first.instance
    image = world.hospital.received(names.study_uid, names.series_uid, {}, sop_instance_uid=names.sop_instance_uid)
    write(world.log, [image, world.hospital.validated(image), held_as(world.hospital, image, code)])
    projected(dsn, world.log, world.hospital)
    return image


@pytest.mark.parametrize("which", ["name", "study"])
def test_who_releases_the_second_image_of_a_uid_has_it_in_place_of_the_first(
    world: World, dsn: str, which: str
) -> None:
    first, other = flowing(world, dsn)
    second = second_under_the_uid_of(world, dsn, first, OTHER_CONTENT)
    assert served(dsn) == {first.instance.digest, other.instance.digest}, "held, it is shown in nobody's place"

    named = [second.instance.digest] if which == "name" else ["--study", second.instance.study_uid]
    done = world.run("release", *named, "--reason", WHY, "--json")

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["replaced"] == [first.instance.digest]
    assert served(dsn) == {second.instance.digest, other.instance.digest}
    # Who sends on reads them in this order: else both would flow for a moment.
    decided = [(one.action, one.instance.digest) for one in world.commands()]
    assert decided == [("rejected", first.instance.digest), ("released", second.instance.digest)]
    assert {one.action for one in world.audits()} == {"quarantine_rejected", "quarantine_released"}


def test_of_a_study_that_is_released_the_log_is_not_looked_through_for_each_image(
    world: World, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A study has thousands of images, and the log of a day is long."""
    firsts = flowing(world, dsn)
    for one in firsts:
        second_under_the_uid_of(world, dsn, one, OTHER_CONTENT)
    looked: list[str] = []
    read = world.log.read

    def counted(partition: TopicPartition, start: int, end: int) -> Iterator[Record]:
        if end - start > 1 and partition.topic == RECEIVED:
            looked.append(partition.topic)
        return read(partition, start, end)

    monkeypatch.setattr(world.log, "read", counted)
    done = world.run("release", "--study", firsts[0].instance.study_uid, "--reason", WHY, "--json")
    assert set(json.loads(done.stdout)["replaced"]) == {one.instance.digest for one in firsts}
    # For all that flow once; for those that are held since their revision, then in all there is.
    assert len(looked) <= 3


def test_what_was_held_for_another_reason_takes_nobody_s_place_unsaid(world: World, dsn: str) -> None:
    first, other = flowing(world, dsn)
    second = second_under_the_uid_of(world, dsn, first, "contradicts_patient")
    refused = world.run("release", second.instance.digest, "--reason", WHY)
    assert isinstance(refused.exception, Failure)
    assert f"radstream quarantine reject {first.instance.digest}" in str(refused.exception)
    assert world.commands() == world.audits() == []

    assert world.run("reject", first.instance.digest, "--reason", WHY).exit_code == 0
    assert world.run("release", second.instance.digest, "--reason", WHY).exit_code == 0
    assert served(dsn) == {second.instance.digest, other.instance.digest}


def test_of_two_that_are_held_under_a_uid_one_is_to_be_named(world: World, dsn: str) -> None:
    first, _ = flowing(world, dsn)
    second, third = (second_under_the_uid_of(world, dsn, first, OTHER_CONTENT) for _ in range(2))
    refused = world.run("release", "--study", first.instance.study_uid, "--reason", WHY)
    assert "several images are held under" in str(refused.exception)
    assert world.commands() == []
    assert world.run("release", third.instance.digest, "--reason", WHY).exit_code == 0
    assert third.instance.digest in served(dsn)
    assert not {first.instance.digest, second.instance.digest} & served(dsn)


def sent_anew(world: World, dsn: str, first: InstanceReceived) -> InstanceReceived:
    """Under another Study Instance UID, with the same SOP Instance UID; nothing holds it."""
    hospital = world.hospital
    image = hospital.received(hospital.uid(), hospital.uid(), {}, sop_instance_uid=first.instance.sop_instance_uid)
    write(world.log, [image, hospital.validated(image)])
    projected(dsn, world.log, hospital)
    return image


def test_of_a_study_that_was_sent_anew_the_shared_images_of_the_wrong_one_are_rejected(world: World, dsn: str) -> None:
    first, other = flowing(world, dsn)
    anew = sent_anew(world, dsn, first)
    assert anew.instance.digest not in served(dsn)
    done = world.run("reject", "--study", first.instance.study_uid, "--shared", "--reason", WHY)
    assert done.exit_code == 0, done.output
    assert "1 image rejected" in done.stdout
    assert served(dsn) == {anew.instance.digest, other.instance.digest}
    again = world.run("reject", "--study", first.instance.study_uid, "--shared", "--reason", WHY)
    assert "nothing was done: no image of study" in str(again.exception)
    assert len(world.commands()) == 1


@pytest.mark.parametrize("more", [("--code", "truncated"), ()], ids=["with a reason", "without a study"])
def test_what_is_shared_is_of_a_study(world: World, more: tuple[str, ...]) -> None:
    study = ("--study", world.image.instance.study_uid) if more else (world.image.instance.digest,)
    refused = world.run("reject", *study, *more, "--shared", "--reason", WHY)
    assert "--shared is of a study" in str(refused.exception)
    assert world.commands() == []


def test_a_release_leaves_the_image_of_another_study_where_it_is(world: World, dsn: str) -> None:
    """Whoever decides on a study has said nothing of another one."""
    first, _ = flowing(world, dsn)
    anew = sent_anew(world, dsn, first)
    second = second_under_the_uid_of(world, dsn, first, OTHER_CONTENT)
    done = world.run("release", second.instance.digest, "--reason", WHY, "--json")
    assert json.loads(done.stdout)["replaced"] == [first.instance.digest]
    assert anew.instance.digest in served(dsn), "it came before the second"
