"""Of several images under one SOP Instance UID of a study, all but the first are held until a person decides."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import timedelta

import pydicom
import pytest
from msgspec import structs
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from consumers.validate.reasons import reason_of, refusal
from streams.clock import SystemClock
from streams.events import NamedInstance, StudyFinding
from streams.held import OTHER_CONTENT, HeldImages
from tests import held_images
from tests.ai_world import TENANT, WHEN
from tests.instance_events import meta_of, received_of
from tests.study_world import ANN, BOB, Studies, of_patient, section_series


def changed(image: Dataset, **attributes: object) -> Dataset:
    """The same image under the same UID, with another header."""
    again = copy.deepcopy(image)
    for name, value in attributes.items():
        setattr(again, name, value)
    return again


def with_other_pixels(image: Dataset) -> Dataset:
    again = copy.deepcopy(image)
    again.PixelData = bytes(255 - value for value in image.PixelData)
    return again


def arrived(world: Studies, images: Sequence[Dataset]) -> list[str]:
    """Says that these came, one after the other; their digests."""
    digests = []
    for number, image in enumerate(images):
        event = world.validated(image).event
        meta = structs.replace(
            meta_of(event.instance.digest), tenant=TENANT, occurred_at=WHEN + timedelta(seconds=number)
        )
        held_images.write(world.log, received_of(meta, event.instance, event.object, technical=event.technical))
        digests.append(event.instance.digest)
    return digests


def conflict(findings: Sequence[StudyFinding]) -> set[str]:
    found = [one for one in findings if one.rule == "instance_conflict"]
    assert len(found) < 2
    return {named.digest for one in found for named in one.instances}


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_that_are_new_in_one_revision_the_one_that_came_first_is_the_study_s(order: int) -> None:
    world, images = Studies(), section_series()
    two = [images[2], with_other_pixels(images[2])][::order]
    others = world.add([*images[:2], *images[3:]])
    first, second = arrived(world, two)

    said = world.assess(world.revision([*others, first, second]))

    (held,) = world.held
    assert (held.instance.digest, held.code, held.meta.subject) == (second, OTHER_CONTENT, second)
    assert held.instance.sop_instance_uid == str(images[2].SOPInstanceUID)
    assert conflict(said.findings) == {first, second}
    assert (said.held_count, [one.rule for one in said.findings]) == (1, ["instance_conflict"])
    assert refusal(held.instance, held.code) is None
    assert "release it in place of the first" in reason_of(held.code).todo


def test_who_would_use_it_asks_the_log_and_it_is_held_until_it_is_released() -> None:
    world, images = Studies(), section_series()
    other = with_other_pixels(images[2])
    digests = arrived(world, [*images, other])
    world.assess(world.revision(digests))
    held_images.write(world.log, *world.held)
    images_held = HeldImages(world.log, SystemClock())
    assert images_held.among(TENANT, digests) == {digests[-1]}
    world.decide([other], "released", OTHER_CONTENT)
    assert images_held.among(TENANT, digests, since_s=float("inf")) == set()


def test_what_an_earlier_revision_has_is_first_whenever_the_other_came() -> None:
    world, images = Studies(), section_series()
    late, shown = arrived(world, [with_other_pixels(images[2]), images[2]])
    rest = world.add([*images[:2], *images[3:]])
    world.assess(world.revision([*rest, shown]))
    assert world.held == []
    world.assess(world.revision([late]))
    assert [one.instance.digest for one in world.held] == [late]
    # The same whenever it is judged, and once.
    before = [one.meta.event_id for one in world.held]
    world.assess(world.revision([]))
    assert [one.meta.event_id for one in world.held] == before


def test_it_goes_on_being_said_until_a_person_has_decided() -> None:
    world, images = Studies(), section_series()
    other = with_other_pixels(images[2])
    series = str(other.SeriesInstanceUID)
    rest = world.add(images)
    (late,) = world.add([other])
    world.assess(world.revision(rest))
    world.assess(world.revision([late]))
    said = world.assess(world.without([late], series))
    assert world.held == []
    assert late in conflict(said.findings)
    assert said.held_count == 1

    world.decide([other], "rejected", OTHER_CONTENT)
    said = world.assess(world.revision([]))
    assert (said.findings, said.held_count) == ((), 0)


def test_while_the_first_is_rejected_and_the_other_not_yet_released_it_is_not_called_another_patient_s() -> None:
    world, images = Studies(), section_series()
    other = with_other_pixels(images[2])
    series = str(other.SeriesInstanceUID)
    rest = world.add(images)
    first, (late,) = rest[2], world.add([other])
    world.assess(world.revision([*rest, late]))
    world.assess(world.without([late], series))
    world.decide([images[2]], "rejected", "rejected")
    said = world.assess(world.without([first], series))
    assert [one.rule for one in said.findings] == ["instance_conflict", "series_gap"]

    world.decide([other], "released", OTHER_CONTENT)
    said = world.assess(world.revision([late]))
    assert (world.held, said.findings, said.held_count) == ([], (), 0)


def test_what_a_person_let_go_beside_the_first_is_not_held_again_and_stays_a_finding() -> None:
    world, images = Studies(), section_series()
    other = with_other_pixels(images[2])
    digests = arrived(world, [*images, other])
    world.decide([other], "released", OTHER_CONTENT)
    world.assess(world.revision(digests[:-1]))
    said = world.assess(world.revision(digests[-1:]))
    assert world.held == []
    assert digests[-1] in conflict(said.findings)


@pytest.mark.parametrize(
    "change",
    [{"PatientName": "Right^Name"}, {"StudyDate": "20200101"}, {"ImageComments": "other"}, {"RescaleSlope": 2}],
)
def test_a_changed_header_is_for_a_person(change: dict[str, object]) -> None:
    world, images = Studies(), section_series()
    digests = arrived(world, [*images, changed(images[2], **change)])
    world.assess(world.revision(digests))
    assert [one.instance.digest for one in world.held] == digests[-1:]


def test_a_changed_private_element_is_for_a_person() -> None:
    world, images = Studies(), section_series()
    again = changed(images[2])
    again.private_block(0x0043, "GEMS_PARM_01", create=True).add_new(0x39, "IS", "1000")
    digests = arrived(world, [*images, again])
    world.assess(world.revision(digests))
    assert [one.instance.digest for one in world.held] == digests[-1:]


def test_the_same_image_written_twice_is_nothing_to_be_said_of() -> None:
    world, images = Studies(), section_series()
    again = changed(images[2], InstanceCreationTime="101500")
    other_syntax = pydicom.Dataset(copy.deepcopy(images[3]))
    other_syntax.file_meta = copy.deepcopy(images[3].file_meta)
    other_syntax.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    digests = arrived(world, [*images, again, other_syntax])
    said = world.assess(world.revision(digests))
    assert (world.held, said.findings, said.held_count) == ([], (), 0)


def test_what_is_another_patient_s_is_held_as_that_alone() -> None:
    world, images = Studies(), section_series()
    of_patient(images, **ANN)
    stray = with_other_pixels(images[2])
    of_patient([stray], **BOB)
    digests = arrived(world, [*images, stray])
    world.assess(world.revision(digests))
    assert [(one.instance.digest, one.code) for one in world.held] == [(digests[-1], "contradicts_patient")]


def test_whoever_comes_third_is_held_too_and_the_first_never() -> None:
    world, images = Studies(), section_series()
    more = [changed(images[2], ImageComments=str(number)) for number in range(3)]
    digests = arrived(world, [*images, *more])
    said = world.assess(world.revision(digests))
    assert {one.instance.digest for one in world.held} == set(digests[-3:])
    assert conflict(said.findings) == {digests[2], *digests[-3:]}
    assert (
        NamedInstance(sop_instance_uid=str(images[2].SOPInstanceUID), digest=digests[2]) in said.findings[0].instances
    )


@pytest.mark.parametrize("read_max", [2, 3, 8])
def test_of_a_study_that_is_too_large_to_be_compared_what_came_second_is_held_all_the_same(read_max: int) -> None:
    world, images = Studies(instances_max=read_max), section_series()
    last = max(images, key=lambda image: str(image.SOPInstanceUID))
    digests = arrived(world, [*images, with_other_pixels(last)])
    said = world.assess(world.revision(digests))
    assert [(one.instance.digest, one.code) for one in world.held] == [(digests[-1], OTHER_CONTENT)]
    assert said.read_count == read_max
    assert conflict(said.findings) == {digests[-1], digests[images.index(last)]}
