"""What is said of a study as a whole."""

from __future__ import annotations

import copy
from collections.abc import Callable
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
from consumers.validate.levels_reading import load
from consumers.validate.step import Validate
from consumers.validate.study import attributes, places
from consumers.validate.study.decided import NOTHING
from consumers.validate.study.header import Header, header_of
from consumers.validate.study.identity import strangers
from consumers.validate.study.reading import LONG_HEAD_BYTES
from radstream.phantom import chest_ct
from schemas import load_subjects
from streams import part10
from streams.clock import SystemClock
from streams.events import (
    SUBJECTS,
    InstanceValidated,
    ObjectRef,
    StudyAssessed,
)
from streams.memory_store import MemoryStore
from streams.objects import Absent
from streams.result import Emit
from streams.step import Done, Input
from streams.wire import Record, SchemaIds, encode
from streams.working import Worker
from tests.ai_world import TENANT
from tests.images import native
from tests.received import CORPUS, identity, manifest, received
from tests.study_world import ANN, BOB, Studies, assess_of, assessed, found, of_patient, section_series
from tests.worlds import context_of

Change = Callable[[list[Dataset]], None]


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


# One process for both steps


def test_each_event_goes_to_its_own_step() -> None:
    world = Studies()
    item = world.revision(world.add(section_series()))
    both = Both(Validate(identity("validate"), world.store, Limits()), assess_of(world))
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
    both = Both(Validate(identity("validate"), world.store, Limits()), assess_of(world))
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
    assert [one.digest for headers in studies.values() for one in strangers(headers, headers, set(), NOTHING)] == []
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


@pytest.mark.parametrize(("modality", "expected"), [("CTA", []), ("CT*", []), ("MRA", ["study_date_varies"])])
def test_of_a_study_a_modality_is_what_its_images_say_also_where_that_is_no_defined_term(
    tmp_path: Path, modality: str, expected: list[str]
) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(f'[[when]]\nmodality = "{modality}"\nrules = {{study_date_varies = "off"}}')
    images = section_series()
    images[0].StudyDate = "20200101"
    for image in images:
        image.Modality = "CTA"
    world = Studies(levels=load(file))

    said = world.assess(world.revision(world.add(images)))

    assert [one.rule for one in said.findings] == expected


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
