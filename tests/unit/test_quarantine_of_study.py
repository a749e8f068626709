"""`radstream quarantine release | reject --study`: one reason for all that wait, a decision and an audit for each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import structs

from radstream import quarantine_deciding
from radstream.errors import Failure
from streams.events import InputRef, InstanceReceived
from tests.event_streams import write
from tests.quarantine_events import assessed_as_strange
from tests.quarantine_world import WHY, World, world_of


class Study:
    """Five images of one study that are held: three as cut off, two as unreadable; and one of another study."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.images = world.hospital.study("P7", "ROE", series=1, images=5)
        self.uid = self.images[0].instance.study_uid
        for number, image in enumerate(self.images):
            write(
                world.log, [image, world.hospital.quarantined(image, code="unreadable" if number > 2 else "truncated")]
            )

    def decide(self, action: str, *more: str) -> dict[str, object]:
        done = self.world.run(action, "--study", self.uid, "--reason", WHY, "--json", *more)
        if done.exception is not None:
            raise done.exception
        found: dict[str, object] = json.loads(done.stdout)
        return found

    def decided(self) -> list[tuple[str, str]]:
        return [(one.instance.digest, one.action) for one in self.world.commands()]

    def digests(self) -> list[str]:
        return [image.instance.digest for image in self.images]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return Study(world_of(tmp_path, monkeypatch))


@pytest.mark.parametrize(("action", "said"), [("release", "released"), ("reject", "rejected")])
def test_all_images_of_a_study_are_decided_on_at_once_with_an_audit_and_the_reason_each(
    study: Study, action: str, said: str
) -> None:
    done = study.decide(action, "--as", "night.shift")

    assert (done["written"], done["stood"], done["left"]) == (5, 0, 0)
    assert sorted(study.decided()) == sorted((digest, said) for digest in study.digests())
    commands, audits = study.world.commands(), study.world.audits()
    assert {one.actor for one in commands} == {"night.shift"}
    assert all(study.world.hospital.blocks.read(one.why)["Note"] == WHY for one in commands)  # type: ignore[index]
    assert {one.meta.subject: one.attributes["why_block"] for one in audits} == {
        one.instance.digest: one.why.block_id for one in commands
    }
    assert {(one.action, one.attributes["study"]) for one in audits} == {(f"quarantine_{said}", study.uid)}
    assert WHY not in repr(audits)


def test_each_is_as_if_it_had_been_decided_alone(study: Study) -> None:
    """Who decides on one of them at the same moment has decided once."""
    alone = study.world.run("release", study.digests()[0], "--reason", WHY)
    assert alone.exit_code == 0
    (first,) = study.world.commands()

    done = study.decide("release")

    assert (done["written"], done["stood"]) == (4, 1)
    assert first.meta.event_id not in {one.meta.event_id for one in study.world.commands()[1:]}
    assert study.decide("release")["written"] == 0
    assert len(study.world.commands()) == len(study.world.audits()) == 5


def test_a_reason_to_hold_narrows_it(study: Study) -> None:
    assert study.decide("reject", "--code", "unreadable")["written"] == 2
    assert {digest for digest, _ in study.decided()} == set(study.digests()[3:])


def test_what_was_decided_otherwise_stays_so_and_is_counted_until_it_is_asked_for_again(study: Study) -> None:
    assert study.world.run("reject", study.digests()[0], "--reason", WHY).exit_code == 0

    done = study.decide("release")
    assert (done["written"], done["left"]) == (4, 1)
    with pytest.raises(Failure, match=r"nothing was done.*1 .*--again"):
        study.decide("release")
    assert study.decide("release", "--again")["written"] == 1
    assert study.decided()[-1] == (study.digests()[0], "released")


def test_what_cannot_be_released_is_said_before_anything_is_written(study: Study) -> None:
    write(study.world.log, [study.world.hospital.quarantined(study.images[1], generation=2, code="hash_mismatch")])

    with pytest.raises(Failure, match=r"nothing was done: 1 of 5 .*hash_mismatch cannot be released.*--code"):
        study.decide("release")
    assert study.decided() == []
    assert study.world.audits() == []
    assert study.decide("release", "--code", "truncated")["written"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--study", "1.2.3"), "nothing is or was held of study 1.2.3"),
        (("--study", "1.2.3", "--code", "truncated"), "nothing is or was held of study 1.2.3 as truncated"),
        ((), "name one instance, or --study UID"),
        (("a" * 64, "--study", "1.2.3"), "name one instance, or --study UID"),
        (("a" * 64, "--code", "truncated"), "--code"),
        (("--study", ""), "no Study Instance UID"),
        (("--study", "1.2.x"), "no Study Instance UID"),
        (("",), "nothing is or was held under"),
    ],
)
def test_what_names_nothing_is_said(study: Study, arguments: tuple[str, ...], said: str) -> None:
    refused = study.world.run("release", *arguments, "--reason", WHY)
    assert refused.exit_code != 0
    assert said in f"{refused.exception}{refused.output}"
    assert study.decided() == []


@pytest.mark.parametrize("action", ["release", "reject"])
@pytest.mark.parametrize("which", [("--study", ""), ("",)])
def test_an_empty_name_is_not_that_of_all_that_have_none(study: Study, action: str, which: tuple[str, ...]) -> None:
    """A shell variable that is not set. Before, all images without a usable UID were decided on, of any patient."""
    (image,) = study.world.hospital.study("P9", "NOE", series=1, images=1)
    nameless = structs.replace(
        image, instance=structs.replace(image.instance, study_uid="", series_uid="", sop_instance_uid="")
    )
    write(study.world.log, [nameless, study.world.hospital.quarantined(nameless, code="illegal_uid")])

    assert study.world.run(action, *which, "--reason", WHY).exit_code != 0
    assert study.decided() == []
    assert study.world.run("reject", image.instance.digest, "--reason", WHY).exit_code == 0


def test_a_person_is_told_how_many(study: Study) -> None:
    study.world.run("reject", study.digests()[0], "--reason", WHY)
    text = study.world.run("release", "--study", study.uid, "--reason", WHY, "--as", "night.shift").stdout
    assert "4 images released by night.shift" in text
    assert "1 was decided otherwise before, and stays so" in text
    assert study.uid in text


def test_images_that_are_held_beside_their_study_are_released_as_what_they_came_as(study: Study) -> None:
    world = study.world
    images = [structs.replace(one) for one in world.hospital.study("P8", "POE", series=1, images=3)]
    revision = world.hospital.revision(images)
    write(world.log, [*images, *(world.hospital.validated(one) for one in images), revision])
    read = InputRef(
        topic="imaging.study.revision", topic_id="x", partition=0, offset=0, event_id=revision.meta.event_id
    )
    for image in images:
        held = assessed_as_strange(world.hospital, image)
        write(world.log, [structs.replace(held, provenance=structs.replace(held.provenance, inputs=(read,)))])
    reads = _reads_of_receipts(world)

    done = world.run(
        "release", "--study", images[0].instance.study_uid, "--code", "contradicts_patient", "--reason", WHY
    )

    assert done.exit_code == 0, done.output
    came: dict[str, InstanceReceived] = {one.instance.digest: one for one in images}
    assert {one.instance.digest for one in world.commands()} == set(came)
    assert all(one.technical == came[one.instance.digest].technical and one.source for one in world.commands())
    assert len(reads) == 1, "what came is looked for once for all of them"


def _reads_of_receipts(world: World) -> list[int]:
    """How often the log was read for what came, from here on."""
    found: list[int] = []
    read = world.log.read

    def counted(partition, start, end):
        if partition.topic.startswith("imaging.instance.received") and end - start > 1:
            found.append(start)
        return read(partition, start, end)

    world.log.read = counted
    return found


def test_the_wait_of_all_is_one(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int] = []
    monkeypatch.setattr(quarantine_deciding, "wait", lambda _, commands, __: waited.append(len(commands)))
    study.decide("release")
    assert waited == [5]
