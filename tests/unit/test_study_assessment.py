"""What is said of a study as a whole, and which of its instances are of another patient."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs
from prometheus_client import REGISTRY
from pydicom.dataset import Dataset
from pydicom.uid import UID

from consumers.validate.both import Both
from consumers.validate.config import Limits
from consumers.validate.levels import Levels
from consumers.validate.levels_reading import load
from consumers.validate.step import Validate
from consumers.validate.study import attributes, places
from consumers.validate.study.header import Header, header_of
from consumers.validate.study.identity import strangers
from consumers.validate.study.reading import LONG_HEAD_BYTES
from consumers.validate.study.step import Assess
from radstream.phantom import chest_ct
from schemas import load_subjects
from streams import part10
from streams.clock import SystemClock
from streams.events import (
    SUBJECTS,
    Event,
    InstanceQuarantined,
    InstanceValidated,
    ObjectRef,
    StudyAssessed,
    StudyRevision,
)
from streams.memory_store import MemoryStore
from streams.objects import Absent
from streams.result import Emit
from streams.step import Done, Input, NewObject
from streams.wire import Record, SchemaIds, encode
from streams.working import Worker
from tests.ai_world import TENANT, World
from tests.images import native
from tests.received import CORPUS, identity, manifest, received
from tests.worlds import context_of

Change = Callable[[list[Dataset]], None]


def section_series(count: int = 8) -> list[Dataset]:
    """An axial series of a phantom, in the order of its places."""
    return copy.deepcopy(_made(count))


@functools.cache
def _made(count: int) -> list[Dataset]:
    images = [one for one in chest_ct(3, (2, count, 3), 16) if one.SeriesNumber == 2]
    for image in images:
        image.AccessionNumber, image.PatientBirthDate, image.PatientSex = "A1", "19600101", "O"
    return images


@dataclass
class Studies(World):
    """A study in a memory store, and the assessment of its revisions."""

    instances_max: int = 100
    levels: Levels = field(default_factory=Levels)
    last: list[Event] = field(default_factory=list)

    def assess(self, item: Input[StudyRevision]) -> StudyAssessed:
        step = Assess(identity("assess"), self.store, self.instances_max, self.levels)
        self.last = list(step(item, SystemClock()).events(()))
        (assessed,) = [event for event in self.last if isinstance(event, StudyAssessed)]
        return assessed

    @property
    def held(self) -> list[InstanceQuarantined]:
        return [event for event in self.last if isinstance(event, InstanceQuarantined)]


def counted() -> float:
    return REGISTRY.get_sample_value("radstream_contradicting_instances_total") or 0.0


def assessed(datasets: Sequence[Dataset]) -> tuple[Studies, StudyAssessed]:
    world = Studies()
    return world, world.assess(world.revision(world.add(datasets)))


def found(datasets: Sequence[Dataset]) -> list[str]:
    return [one.rule for one in assessed(datasets)[1].findings]


def test_a_whole_study_has_nothing_to_be_said_of() -> None:
    datasets = list(chest_ct(3, (2, 6, 4), 16))
    world, said = assessed(datasets)
    assert (said.findings, said.held_count, world.held) == ((), 0, [])
    assert said.read_count == said.instance_count == len(datasets)


def changed(name: str, *values: Any) -> Change:
    def change(images: list[Dataset]) -> None:
        for image, value in zip(images, values, strict=False):
            setattr(image, name, value)

    return change


def removed(images: list[Dataset]) -> None:
    del images[4]


def doubled(images: list[Dataset]) -> None:
    again = copy.deepcopy(images[2])
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = UID(f"{images[2].SOPInstanceUID}.1")
    images.append(again)


def rewritten(images: list[Dataset]) -> None:
    again = copy.deepcopy(images[2])
    again.ImageComments = "other"
    images.append(again)


@pytest.mark.parametrize(
    ("change", "rule", "about"),
    [
        (changed("StudyDate", "20200101"), "study_date_varies", 1),
        (changed("AccessionNumber", "another"), "accession_varies", 1),
        (changed("PatientName", "Other^Name"), "patient_name_varies", 1),
        (changed("PatientBirthDate", "19010101"), "birth_date_varies", 1),
        (changed("Modality", "MR"), "series_modalities", 1),
        (changed("FrameOfReferenceUID", "1.2.3"), "series_frames_of_reference", 1),
        (changed("ImageOrientationPatient", [0, 1, 0, -1, 0, 0]), "orientation_changes", 1),
        (changed("PixelSpacing", [9, 9]), "spacing_changes", 1),
        (removed, "series_gap", 2),
        (doubled, "positions_repeat", 2),
        (rewritten, "instance_conflict", 2),
    ],
)
def test_what_does_not_fit_is_said_with_its_instances(change: Change, rule: str, about: int) -> None:
    images = section_series()
    change(images)
    _, said = assessed(images)
    assert [one.rule for one in said.findings] == [rule]
    (one,) = said.findings
    assert one.instance_count == len(one.instances) == about
    assert {name.sop_instance_uid for name in one.instances} <= {str(image.SOPInstanceUID) for image in images}
    if rule.startswith(("series", "positions", "orientation", "spacing")):
        assert one.series_uid == str(images[0].SeriesInstanceUID)


def test_no_value_of_a_file_is_in_an_event() -> None:
    images = section_series()
    images[0].PatientName, images[0].PatientID = "Zweitname^Quirin", "ID-4711"
    images[0].PatientBirthDate, images[1].AccessionNumber = "19010203", "ACC-4712"
    world, _ = assessed(images)
    text = repr(world.last)
    assert len(world.held) == 1
    assert not [value for value in ("Zweitname", "4711", "19010203", "4712") if value in text]


@pytest.mark.parametrize(
    "change",
    [
        changed("ImageType", ["ORIGINAL", "PRIMARY", "LOCALIZER"]),  # its planes cross on purpose
        changed("PatientName", "PHANTOM^^^", ""),
        changed("AccessionNumber", ""),
    ],
)
def test_what_may_be_so_is_let_be(change: Change) -> None:
    images = section_series()
    for image in images:
        image.PatientName, image.AccessionNumber = "Phantom", "A1"
    change(images)
    if "LOCALIZER" in images[0].ImageType:
        images[0].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    assert found(images) == []


def test_phases_echoes_and_times_at_one_place_are_no_repetition() -> None:
    images = section_series()
    doubled(images)
    images[-1].AcquisitionTime = "235959"
    assert found(images) == []


def test_volumes_of_a_dynamic_series_are_no_repetition() -> None:
    """Of a foreign scanner's functional MR, two volumes differ in their numbers alone."""
    images = section_series()
    doubled(images)
    for image in images:
        image.Modality = "MR"
    assert found(images) == ["positions_repeat"]
    images[-1].InstanceNumber = 99
    assert found(images) == []


@pytest.mark.parametrize("place", ["1e308", "-1e308", "5e-324"])
def test_places_far_outside_of_any_patient_are_none(place: str) -> None:
    images = section_series()
    images[2].ImagePositionPatient = [place, "0", place]
    assert "positions_repeat" not in found(images)


def test_uneven_series_have_no_gaps_to_see() -> None:
    images = section_series(9)
    for number, image in enumerate(images):
        image.ImagePositionPatient = [0, 0, number * number * 3.0]
    assert found(images) == []


def test_numbers_show_what_is_missing_of_images_without_a_place() -> None:
    images = section_series(9)
    for image in images:
        del image.ImagePositionPatient
    assert found(images) == []
    del images[3]
    assert found(images) == ["instance_numbers_gap"]
    assert found(images[:3] + images[-1:]) == []


# Another patient


def of_patient(images: Sequence[Dataset], **attributes: str) -> None:
    for image in images:
        for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "IssuerOfPatientID"):
            setattr(image, name, attributes.get(name, ""))


ANN = {"PatientID": "P1", "PatientName": "Roe^Ann", "PatientBirthDate": "19600101", "PatientSex": "F"}
BOB = {"PatientID": "P2", "PatientName": "Doe^Bob", "PatientBirthDate": "19700101", "PatientSex": "M"}


def test_an_instance_of_another_patient_is_held_and_the_rest_is_let_be() -> None:
    images = section_series()
    of_patient(images, **ANN)
    of_patient(images[3:4], **BOB)
    world, said = assessed(images)
    (held,) = world.held
    assert held.instance.sop_instance_uid == str(images[3].SOPInstanceUID)
    assert held.instance.sop_class_uid == str(images[3].SOPClassUID)
    assert (held.code, held.meta.subject) == ("contradicts_patient", held.instance.digest)
    assert held.object.sha256 == held.instance.digest
    assert world.store.read(held.object)
    assert (said.held_count, [one.rule for one in said.findings]) == (1, ["patient_contradicts", "series_gap"])
    assert world.last[-1] is said, "what is held is held before anybody reads of the study"


@pytest.mark.parametrize(
    ("attributes", "is_other"),
    [
        ({"PatientID": "P2"}, True),
        ({"PatientID": "p1 "}, False),
        ({"PatientID": "00P1"}, False),
        ({"PatientID": ""}, False),
        ({"PatientID": "P2", "IssuerOfPatientID": "ELSEWHERE"}, False),
        ({"PatientName": "Roe-Smith^Ann"}, False),
        ({"PatientBirthDate": "19600102"}, False),
        ({"PatientSex": "O", "PatientName": "Roe-Smith^Ann"}, False),
        ({"PatientName": "Doe^Bob", "PatientBirthDate": "19700101"}, True),
        ({"PatientName": "ROE^ANN^^=x", "PatientBirthDate": "19700101"}, False),
    ],
)
def test_who_is_another_patient(attributes: dict[str, str], is_other: bool) -> None:
    """An ID of one issuer, or two attributes: what is written otherwise or has been corrected is a finding at most."""
    images = section_series()
    of_patient(images, **ANN, IssuerOfPatientID="HERE")
    of_patient(images[3:4], **{**ANN, "IssuerOfPatientID": "HERE", **attributes})
    world, said = assessed(images)
    assert bool(world.held) == is_other
    assert said.held_count == len(world.held)


def test_names_in_another_character_set_are_no_other_names() -> None:
    images = section_series()
    of_patient(images, **ANN)
    for image, charset in zip(images, ["ISO_IR 100", "ISO_IR 192"] * 4, strict=True):
        image.SpecificCharacterSet, image.PatientName = charset, "Müller^Ann"
    assert found(images) == []


def test_the_first_revision_says_whose_the_study_is() -> None:
    """However many come later: what was held stays held, under the same name, and is one event."""
    images = section_series()
    of_patient(images, **BOB)
    of_patient(images[:2], **ANN)
    world = Studies()
    first = world.add(images[:2])
    assert world.assess(world.revision(first)).held_count == 0
    late = world.add(images[2:])
    assert world.assess(world.revision(late[:1])).held_count == 1
    (one,) = world.held
    assert world.assess(world.revision(late[1:])).held_count == 6
    assert one.meta.event_id in {event.meta.event_id for event in world.held}
    assert {event.instance.digest for event in world.held} == set(late)


def test_an_image_of_another_patient_is_counted_when_it_came_and_not_with_each_that_comes_after_it() -> None:
    images = section_series()
    of_patient(images, **ANN)
    of_patient(images[3:4], **BOB)
    world, before = Studies(), counted()
    world.assess(world.revision(world.add(images[:6])))
    assert counted() - before == 1
    for late in images[6:]:
        assert world.assess(world.revision(world.add([late]))).held_count == 1
    assert counted() - before == 1


def moved(world: Studies, digests: Sequence[str], to: str = "warm") -> None:
    """The images' copies in the hot store are gone, and others are there, stored now."""
    for key, _ in list(world.store.keys("hot", f"{TENANT}/studies/")):
        if any(digest in key for digest in digests):
            copy_of = world.store.find(TENANT, "hot", key)
            assert copy_of is not None
            world.store.create(NewObject(TENANT, to, key, bytes(copy_of.data)))
            world.store.delete(copy_of.ref)


@pytest.mark.parametrize("first", [ANN, BOB])
def test_of_as_many_of_two_patients_it_is_always_the_same_one(first: dict[str, str]) -> None:
    """Whichever came first, and wherever their images are by now."""
    images = section_series()[:2]
    of_patient(images[:1], **first)
    of_patient(images[1:], **(BOB if first is ANN else ANN))
    world = Studies()
    one, other = world.add(images)
    revision = world.revision([one, other])
    world.assess(revision)
    held = [event.instance.digest for event in world.held]
    assert len(held) == 1
    for each in (one, other):
        moved(world, [each])
        world.assess(revision)
        assert [event.instance.digest for event in world.held] == held


# One process for both steps


def test_each_event_goes_to_its_own_step() -> None:
    world = Studies()
    item = world.revision(world.add(section_series()))
    both = Both(Validate(identity("validate"), world.store, Limits()), Assess(identity("assess"), world.store, 100))
    image = received(world.store, native(np.zeros((1, 8, 6), np.uint16)))
    outcomes = both([image, item], SystemClock())
    kinds = [[type(event) for event in one.events(())] for one in outcomes if isinstance(one, Done)]
    assert kinds == [[InstanceValidated], [StudyAssessed]]


def test_how_long_each_step_took_is_measured_under_its_own_name() -> None:
    def called(step: str) -> float:
        return REGISTRY.get_sample_value("radstream_step_seconds_count", {"group": step}) or 0.0

    world = Studies()
    revision = world.revision(world.add(section_series()))
    image = received(world.store, native(np.zeros((1, 8, 6), np.uint16)))
    both = Both(Validate(identity("validate"), world.store, Limits()), Assess(identity("assess"), world.store, 100))
    worker = Worker(context_of("validate", TENANT, world.log, world.store, SystemClock()), both, identity("validate"))
    messages = [encode(item.event, SchemaIds(), source="test") for item in (image, revision, image)]
    before = called("validate"), called("assess")
    results = worker([Record(one.topic, "id", 0, 0, 0, one.key, one.value, one.headers) for one in messages])
    assert [len(one.messages) for one in results if isinstance(one, Emit)] == [1, 1, 1]
    assert (called("validate") - before[0], called("assess") - before[1]) == (2, 1)


def test_a_revision_whose_list_is_away_waits() -> None:
    world = Studies()
    item = world.revision(world.add(section_series()))
    gone = structs.replace(item.event, manifest=structs.replace(item.event.manifest, key="t/derived/none"))
    with pytest.raises(Absent):
        world.assess(Input(gone, item.record))


# The store


class Slow(MemoryStore):
    """Counts bytes that were read of originals; some of them are gone."""

    def __init__(self, gone: int = 0) -> None:
        super().__init__()
        self.lengths: list[int] = []
        self._gone = gone

    def head(self, ref: ObjectRef, length: int) -> bytes:
        self.lengths.append(length)
        if len(self.lengths) <= self._gone:
            raise Absent(ref.key)
        return super().head(ref, length)


def test_what_is_gone_is_not_compared_and_what_is_in_another_store_is() -> None:
    images = section_series()
    world = Studies(store=Slow(gone=1))
    digests = world.add(images[:4]) + world.add(images[4:], store="cold")
    said = world.assess(world.revision(digests))
    assert (said.read_count, said.instance_count) == (7, 8)


def test_only_the_beginning_is_read_and_more_where_that_is_not_enough() -> None:
    images = section_series()
    images[0].add_new(0x00091001, "UN", bytes(40_000))
    images[0].PatientID = "another"
    store = Slow()
    world = Studies(store=store)
    world.assess(world.revision(world.add(images)))
    assert sorted(store.lengths) == [32 << 10] * 8 + [1 << 20]
    assert len(world.held) == 1


def test_of_a_huge_study_so_many_instances_are_read() -> None:
    world = Studies(instances_max=5)
    assert world.assess(world.revision(world.add(section_series()))).read_count == 5


def test_the_event_is_named_by_revision_and_generation() -> None:
    world = Studies()
    item = world.revision(world.add(section_series()))
    one, other = world.assess(item), world.assess(item)
    assert one.meta.event_id == other.meta.event_id
    assert one.meta.subject == item.event.meta.subject
    assert one.provenance.inputs == (item.ref,)
    later = structs.replace(item.event, revision=2)
    assert world.assess(Input(later, item.record)).meta.event_id != one.meta.event_id


def test_the_published_example_is_what_is_said() -> None:
    images = section_series()
    of_patient(images, **ANN)
    of_patient(images[3:4], **BOB)
    _, said = assessed(images)
    (example,) = load_subjects()[SUBJECTS[StudyAssessed]].examples
    shown = [(one["rule"], one["severity"], one["text"], one["tag"], one["section"]) for one in example["findings"]]
    assert [(one.rule, one.severity, one.text, one.tag, one.section) for one in said.findings] == shown


@pytest.mark.corpus
@pytest.mark.usefixtures("corpus")
def test_foreign_files_are_read_and_none_of_them_is_held() -> None:
    """What some collections make of one image (other syntaxes, other frames) is of one patient."""
    studies: dict[str, list[Header]] = {}
    for row in manifest():
        file = part10.beginning((CORPUS / row["file"]).read_bytes()[:LONG_HEAD_BYTES])
        if file is not None and (study_uid := file.text(0x0020000D)):
            series_uid, name = file.text(0x0020000E) or "", file.text(0x00080018) or ""
            ref = ObjectRef(tenant="t", store="hot", key="t/x", length=1, size=1, sha256=row["sha256"])
            one = header_of(file, ref, series_uid, name)
            alone = {series_uid: [one]}
            assert [*attributes.check([one], alone), *places.check(alone)] == [], row["file"]
            studies.setdefault(study_uid, []).append(one)
    assert [one.digest for headers in studies.values() for one in strangers(headers, ())] == []
    assert sum(len(headers) > 1 for headers in studies.values()) > 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[rules]\nstudy_date_varies = "error"', [("study_date_varies", "error")]),
        ('[rules]\nstudy_date_varies = "off"', []),
        ('[[when]]\nmodality = "MR"\nrules = {study_date_varies = "off"}', [("study_date_varies", "warning")]),
        ('[[when]]\nmodality = "CT"\nrules = {study_date_varies = "info"}', [("study_date_varies", "info")]),
        ('[[when]]\nsite = "elsewhere"\nrules = {study_date_varies = "off"}', [("study_date_varies", "warning")]),
        ('[[when]]\nsop_class = "CTImageStorage"\nrules = {study_date_varies = "off"}', []),
    ],
)
def test_a_site_says_how_much_a_rule_on_studies_matters(
    tmp_path: Path, text: str, expected: list[tuple[str, str]]
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(text)
    images = section_series()
    images[0].StudyDate = "20200101"
    world = Studies(levels=load(file))

    said = world.assess(world.revision(world.add(images)))

    assert [(one.rule, one.severity) for one in said.findings] == expected


def test_of_images_of_several_kinds_the_gravest_level_holds(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text('[[when]]\nmodality = "CT"\nrules = {study_date_varies = "off"}')
    images = section_series()
    images[0].StudyDate = "20200101"
    for image in images[4:]:
        image.Modality, image.SeriesInstanceUID = "MR", UID("1.2.3.4.5.6")
    world = Studies(levels=load(file))

    said = world.assess(world.revision(world.add(images)))

    assert ("study_date_varies", "warning") in [(one.rule, one.severity) for one in said.findings]


def test_what_was_taken_out_of_the_study_is_still_said_to_be_of_another_patient() -> None:
    own, stray = section_series(), copy.deepcopy(section_series()[0])
    stray.PatientID, stray.SOPInstanceUID = "OTHER", "1.2.3.4.5"
    stray.file_meta.MediaStorageSOPInstanceUID = stray.SOPInstanceUID
    world = Studies()
    (strange,) = world.add([stray])
    world.assess(world.revision([*world.add(own), strange]))
    before = counted()
    said = world.assess(world.without([strange], str(stray.SeriesInstanceUID)))

    assert [one.rule for one in said.findings] == ["patient_contradicts"]
    assert (said.read_count, said.instance_count, said.held_count) == (len(own), len(own), 1)
    assert [event.instance.digest for event in world.held] == [strange]
    assert counted() == before
