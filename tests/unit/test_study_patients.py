"""Which patient a study is of, and which of its images are held as another's."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Literal

import pytest
from msgspec import structs
from prometheus_client import REGISTRY
from pydicom.dataset import Dataset

from consumers.validate.releasing import REJECTED
from consumers.validate.study.decided import Decided, Decisions
from schemas import load_topics
from streams.clock import SystemClock
from streams.events import Event, InstanceQuarantined, InstanceValidated, StudyAssessed, StudyRevision
from streams.held import CONTRADICTS, DECISION
from streams.identity import original_key
from streams.log import LogAway, TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.step import Done, Input, NewObject, RetryLater, Stored
from streams.wire import Message, Record
from tests import held_images
from tests.ai_world import TENANT, WHEN
from tests.deciding_world import REVISION, HandClock, new_world
from tests.study_world import ANN, BOB, Studies, assess_of, assessed, found, of_patient, section_series
from tests.waiting import wait_until

CLEO = {"PatientID": "P3", "PatientName": "Poe^Cleo", "PatientBirthDate": "19800101", "PatientSex": "F"}


def counted() -> float:
    return REGISTRY.get_sample_value("radstream_contradicting_instances_total") or 0.0


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


# What a person says


class CountingClock(SystemClock):
    """How often it was asked for the monotonic time."""

    asked = 0

    def monotonic(self) -> float:
        self.asked += 1
        return super().monotonic()


class WatchedLog(MemoryLog):
    """Says from where it was read. It goes away before the record at `away_at`."""

    def __init__(self) -> None:
        super().__init__()
        (commands,) = load_topics().physical("imaging.quarantine.command")
        self.create_topic(commands, 1)
        self.read_from: list[int] = []
        self.looks = 0
        self.away_at: int | None = None

    def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, tuple[int, int]]:
        self.looks += 1
        return super().bounds(partitions)

    def read(self, partition: TopicPartition, start: int, end: int) -> Iterator[Record]:
        self.read_from.append(start)
        for record in super().read(partition, start, end):
            if record.offset == self.away_at:
                raise LogAway("it went away")
            yield record


def a_scout_of_bob_and_images_of_ann(log: MemoryLog | None = None) -> tuple[Studies, list[Dataset]]:
    """The scout was sent by mistake, and the study was quiet behind it: the rest is held."""
    images = section_series()
    of_patient(images[:1], **BOB)
    of_patient(images[1:], **ANN)
    world = Studies(log=log or held_images.log_of_holds())
    world.assess(world.revision(world.add(images[:1])))
    assert world.assess(world.revision(world.add(images[1:6]))).held_count == 5
    world.assess(without(world, images[1:6]))
    return world, images


def without(world: Studies, images: Sequence[Dataset]) -> Input[StudyRevision]:
    return world.without(world.add(images), str(images[0].SeriesInstanceUID))


def test_when_the_first_image_is_rejected_the_study_is_of_the_patient_of_the_next() -> None:
    world, images = a_scout_of_bob_and_images_of_ann()
    world.decide(images[:1], "rejected")
    world.assess(without(world, images[:1]))
    assert world.held == []
    world.assess(world.revision(world.add(images[6:])))
    assert world.held == []


def test_what_was_held_is_said_until_a_person_decides_also_once_the_study_is_of_its_patient() -> None:
    """Without any image, and with later ones of the same patient: it would else read as a study without a fault."""
    world, images = a_scout_of_bob_and_images_of_ann()
    waiting = set(world.add(images[1:6]))
    world.decide(images[:1], "rejected")
    for revision in (without(world, images[:1]), world.revision(world.add(images[6:]))):
        said = world.assess(revision)
        (one,) = [one for one in said.findings if one.rule == "patient_contradicts"]
        assert (said.held_count, one.instance_count) == (5, 5)
        assert {named.digest for named in one.instances} == waiting
    world.decide(images[1:2], "released")
    world.decide(images[2:3], "rejected")
    assert world.assess(world.revision(world.add(images[1:2]))).held_count == 3


def test_a_patient_whose_image_was_released_is_one_of_the_studys_own() -> None:
    world, images = a_scout_of_bob_and_images_of_ann()
    world.decide(images[1:2], "released")
    late, still_held = world.add([images[1], *images[6:]]), world.add(images[2:6])
    said = world.assess(world.revision(late))
    assert {event.instance.digest for event in world.held} == set(still_held), (
        "what comes late flows, what waits is said"
    )
    assert (said.held_count, said.findings[0].rule) == (4, "patient_contradicts")
    world.decide(images[2:6], "released")
    world.assess(world.revision(still_held))
    assert world.held == []


def test_a_third_patient_is_held_beside_one_who_was_released() -> None:
    """Also where the released image says nearly nothing: what agrees with it has to say the same ID or name."""
    images = section_series()
    of_patient(images[:5], **ANN)
    of_patient(images[5:6], PatientID="P2")
    of_patient(images[6:], **{**CLEO, "PatientID": ""})
    world = Studies()
    world.assess(world.revision(world.add(images[:6])))
    assert len(world.held) == 1
    world.decide(images[5:6], "released")
    world.assess(world.revision(world.add(images[6:])))
    assert {event.instance.sop_instance_uid for event in world.held} == {str(one.SOPInstanceUID) for one in images[6:]}


def test_who_releases_an_image_as_cut_off_has_not_said_whose_it_is() -> None:
    world, images = a_scout_of_bob_and_images_of_ann()
    world.decide(images[1:6], "released", code="truncated")
    assert world.assess(world.revision(world.add(images[6:]))).held_count == 7


def test_the_last_word_on_an_image_holds() -> None:
    world, images = a_scout_of_bob_and_images_of_ann()
    world.decide(images[1:2], "released")
    world.decide(images[1:2], "rejected")
    assert world.assess(world.revision(world.add(images[6:]))).held_count == 6


def test_what_is_rejected_is_not_said_to_wait_for_a_person_any_more() -> None:
    images = section_series()
    of_patient(images, **ANN)
    of_patient(images[3:4], **BOB)
    world = Studies()
    world.assess(world.revision(world.add(images)))
    world.decide(images[3:4], "rejected")
    assert world.assess(without(world, images[3:4])).held_count == 0


def test_a_revision_is_judged_by_what_was_decided_before_it_whenever_it_is_judged() -> None:
    world, images = a_scout_of_bob_and_images_of_ann()
    early = world.revision(world.add(images[6:]))
    world.assess(early)
    first = world.last
    world.decide(images[:1], "rejected", at=WHEN + timedelta(seconds=1))
    world.assess(early)
    assert [one.meta.event_id for one in world.last] == [one.meta.event_id for one in first]
    event = world.revision([]).event
    late = structs.replace(event, meta=structs.replace(event.meta, occurred_at=WHEN + timedelta(seconds=2)))
    said = world.assess(Input(late, early.record))
    assert (world.held, said.held_count) == ([], 5), "what came late flows, what waits is said"
    assert [one.topic for one in said.provenance.inputs] == ["imaging.study.revision", "imaging.quarantine.command"]


def test_a_decision_that_is_written_late_counts_when_a_revision_is_judged_again() -> None:
    """As by a clock that is behind. What was held stays so until a person decides."""
    world, images = a_scout_of_bob_and_images_of_ann()
    revision = world.revision(world.add(images[6:]))
    assert world.assess(revision).held_count == 7
    world.decide(images[:1], "rejected", at=WHEN - timedelta(seconds=1))
    world.assess(revision)
    assert world.held == []


def test_decisions_are_read_on_from_where_they_were_read_and_are_of_one_study() -> None:
    world, images = a_scout_of_bob_and_images_of_ann(log := WatchedLog())
    clock = HandClock()
    decisions, empty = Decisions(log, clock), Decided(rejected=set(), released=set())
    assert decisions.until(clock.now(), TENANT, world.study_uid) == empty
    names = [world.add([image])[0] for image in images[:2]]
    for count in (1, 2):
        world.decide(images[count - 1 : count], "rejected")
        (command,) = load_topics().physical("imaging.quarantine.command")
        world.log.append(Message(command, None, b"no event"))
        decided = decisions.until(clock.now(), TENANT, world.study_uid)
        assert (decided.rejected, decided.released) == (set(names[:count]), set())
    assert log.read_from == [0, 2], "what was read is not read again"
    assert (
        decisions.until(clock.now(), "another", world.study_uid)
        == decisions.until(clock.now(), TENANT, "1.2.3")
        == empty
    )


def test_a_log_that_goes_away_meanwhile_is_read_on_from_there() -> None:
    world, images = a_scout_of_bob_and_images_of_ann(log := WatchedLog())
    world.decide(images[:3], "rejected")
    decisions, log.away_at = Decisions(log, HandClock()), 2
    with pytest.raises(LogAway):
        decisions.until(WHEN, TENANT, world.study_uid)
    log.away_at = None
    assert decisions.until(WHEN, TENANT, world.study_uid).rejected == set(world.add(images[:3]))
    assert log.read_from == [0, 2]


def test_what_is_long_past_is_judged_again_without_a_look_at_the_log() -> None:
    world, images = a_scout_of_bob_and_images_of_ann(log := WatchedLog())
    world.decide(images[:1], "rejected")
    decisions, log.looks = Decisions(log, SystemClock()), 0
    for _ in range(3):
        assert decisions.until(WHEN, TENANT, world.study_uid).rejected == set(world.add(images[:1]))
    assert log.looks == 1


def test_who_waits_while_another_looks_shares_the_next_look() -> None:
    world, images = a_scout_of_bob_and_images_of_ann(log := WatchedLog())
    clock, log.looks = CountingClock(), 0
    decisions, now = Decisions(log, clock), clock.now()
    with ThreadPoolExecutor(4) as pool:
        with log.changed:
            first = pool.submit(decisions.until, now, TENANT, world.study_uid)
            wait_until(lambda: clock.asked == 2, "the first to look")
            others = [pool.submit(decisions.until, now, TENANT, world.study_uid) for _ in range(3)]
            wait_until(lambda: clock.asked == 5, "the others to wait")
            world.decide(images[:1], "rejected")
        assert first.result().rejected <= set(world.add(images[:1]))
        assert [one.result().rejected for one in others] == [set(world.add(images[:1]))] * 3
    assert log.looks == 2


def test_while_the_log_does_not_say_what_people_decided_a_study_waits() -> None:
    world, _ = a_scout_of_bob_and_images_of_ann()
    item, world.log.away = world.revision([]), True
    outcome = assess_of(world)(item, SystemClock())
    assert isinstance(outcome, RetryLater)
    assert outcome.scope == "world"


# Who says whose it is


def test_where_the_first_revision_names_nobody_the_first_that_names_somebody_decides() -> None:
    """As of an unconscious patient, whose first images are made before anybody knows the name."""
    images = section_series(15)
    of_patient(images[:2])
    of_patient(images[2:7], **ANN)
    of_patient(images[7:], **BOB)
    world = Studies()
    for some in (images[:2], images[2:7]):
        assert world.assess(world.revision(world.add(some))).held_count == 0
    world.assess(world.revision(world.add(images[7:])))
    assert {event.instance.sop_instance_uid for event in world.held} == {str(one.SOPInstanceUID) for one in images[7:]}


class CountingStore(MemoryStore):
    """How many lists of revisions were asked for."""

    lists = 0

    def find(self, tenant: str, store: str, key: str) -> Stored | None:
        self.lists += "/derived/" in key
        return super().find(tenant, store, key)


def test_a_study_in_which_nobody_is_named_is_assessed_without_the_lists_of_all_its_revisions() -> None:
    images = section_series()
    of_patient(images)
    store = CountingStore()
    world = Studies(store=store)
    for image in images:
        store.lists = 0
        assert world.assess(world.revision(world.add([image]))).findings == ()
    assert store.lists == 1


def test_who_was_named_late_says_whose_it_is_after_many_revisions() -> None:
    """Each list is read once; of those that were rejected, and of those that came again, nothing is asked twice."""
    images = section_series(15)
    of_patient(images[:8])
    of_patient(images[8:12], **ANN)
    of_patient(images[12:], **BOB)
    store = CountingStore()
    world = Studies(store=store)
    for image in images[:8]:
        world.assess(world.revision(world.add([image])))
    world.assess(world.revision(world.add(images[8:12])))
    world.decide(images[:1], "rejected")
    world.assess(without(world, images[:1]))
    store.lists = 0
    assert world.assess(world.revision(world.add(images[12:]))).held_count == 3
    assert store.lists == 10 + 1, "its ten revisions, and the one before it for who counts the held"


def test_a_study_stays_of_its_patient_when_most_of_its_first_images_are_rejected() -> None:
    images = section_series()
    of_patient(images[:3], **ANN)
    of_patient(images[3:5], **BOB)
    of_patient(images[5:], **ANN)
    world = Studies()
    world.assess(world.revision(world.add(images[:5])))
    world.decide(images[:2], "rejected", code="unreadable")
    world.assess(without(world, images[:2] + images[3:5]))
    world.assess(world.revision(world.add(images[5:])))
    assert {one.instance.sop_instance_uid for one in world.held} == {str(one.SOPInstanceUID) for one in images[3:5]}


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


def test_of_as_many_of_two_patients_one_stays_when_the_other_is_released() -> None:
    images = section_series()[:3]
    of_patient(images[:1], **BOB)
    of_patient(images[1:2], **ANN)
    of_patient(images[2:], **CLEO)
    world = Studies()
    world.assess(world.revision(world.add(images[:2])))
    (held,) = world.held
    other = [one for one in images[:2] if str(one.SOPInstanceUID) == held.instance.sop_instance_uid]
    world.decide(other, "released")
    world.assess(world.revision(world.add(images[2:])))
    assert [event.instance.sop_instance_uid for event in world.held] == [str(images[2].SOPInstanceUID)]


# What cannot be read


def archived(world: Studies, digests: Sequence[str]) -> None:
    """Their only copies are in the cold store, which has to be asked for them first."""
    world.store.archived = ("cold",)
    moved(world, digests, "cold")
    keys = [key for key, _ in world.store.keys("cold", f"{TENANT}/studies/")]
    world.store.asleep |= {("cold", key) for key in keys if any(digest in key for digest in digests)}


def test_a_late_image_does_not_say_whose_an_archived_study_is() -> None:
    images = section_series()
    of_patient(images[:5], **ANN)
    of_patient(images[5:], **BOB)
    world = Studies()
    early = world.add(images[:5])
    world.assess(world.revision(early))
    archived(world, early)
    said = world.assess(world.revision(world.add(images[5:])))
    assert world.held == []
    whose, part = said.findings[:2]
    assert (whose.rule, whose.severity, whose.instance_count) == ("patient_not_compared", "warning", 5)
    assert {one.digest for one in whose.instances} == set(early)
    assert (part.rule, part.severity, part.instance_count) == ("study_not_all_compared", "info", 5)
    assert (said.read_count, said.instance_count) == (3, 8)


def a_study_of_ann_with_a_released_image_of_bob(instances_max: int = 100) -> tuple[Studies, list[str], list[Dataset]]:
    """And what comes late: an image of Bob, and two of Cleo."""
    images = sorted(section_series(), key=lambda one: str(one.SOPInstanceUID))
    late, released, early = images[:3], images[3:4], images[4:]
    of_patient(early, **ANN)
    of_patient([*released, late[0]], **BOB)
    of_patient(late[1:], **CLEO)
    world = Studies(instances_max=instances_max)
    world.assess(world.revision(world.add(early)))
    digests = world.add(released)
    world.assess(world.revision(digests))
    world.decide(released, "released")
    return world, digests, late


def test_a_third_patient_is_held_also_while_the_released_image_is_archived() -> None:
    """So is the second, whom nobody can see to be one of the study's own now."""
    world, released, late = a_study_of_ann_with_a_released_image_of_bob()
    archived(world, released)
    said = world.assess(world.revision(digests := world.add(late)))
    assert {event.instance.digest for event in world.held} == set(digests)
    assert "study_not_all_compared" in {one.rule for one in said.findings}


def test_of_a_huge_study_what_a_person_released_is_read_first_too() -> None:
    world, _, late = a_study_of_ann_with_a_released_image_of_bob(instances_max=7)
    bob, *cleo = world.add(late)
    world.assess(world.revision([bob, *cleo]))
    held = {event.instance.digest for event in world.held}
    assert held
    assert held <= set(cleo)


def test_one_image_that_can_be_read_says_whose_an_archived_study_is() -> None:
    images = section_series()
    of_patient(images[:5], **ANN)
    of_patient(images[5:], **BOB)
    world = Studies()
    early = world.add(images[:5])
    world.assess(world.revision(early))
    archived(world, early[1:])
    said = world.assess(world.revision(world.add(images[5:])))
    assert said.held_count == 3
    assert [one.rule for one in said.findings] == ["patient_contradicts", "study_not_all_compared"]


def test_a_copy_that_is_archived_is_passed_over_for_one_that_answers() -> None:
    images = section_series()
    of_patient(images[:5], **ANN)
    of_patient(images[5:], **BOB)
    world = Studies()
    early = world.add(images[:5])
    world.assess(world.revision(early))
    for image in images[:5]:
        world.add([image], "backup")
    archived(world, early)
    said = world.assess(world.revision(world.add(images[5:])))
    assert (said.held_count, said.read_count) == (3, 8)


def test_what_is_no_dicom_names_nobody_and_is_said() -> None:
    """A file that a person let go although nothing reads it: those that came next decide, and it was not compared."""
    images = section_series()
    of_patient(images[:4], **ANN)
    of_patient(images[4:], **BOB)
    world = Studies()
    late = world.add(images)
    broken = b"no DICOM at all"
    digest = hashlib.sha256(broken).hexdigest()
    key = original_key(TENANT, world.study_uid, "1.2.3", "1.2.3.4", digest)
    world.store.create(NewObject(TENANT, "hot", key, broken))
    world.assess(world.revision([digest]))
    world.assess(world.revision(late[:4]))
    said = world.assess(world.revision(late[4:]))
    assert {event.instance.digest for event in world.held} == set(late[4:])
    (part,) = [one for one in said.findings if one.rule == "study_not_all_compared"]
    assert [(one.sop_instance_uid, one.digest) for one in part.instances] == [("1.2.3.4", digest)]


def test_a_list_that_is_gone_is_no_reason_to_ask_those_who_came_later() -> None:
    images = section_series()
    of_patient(images[:5], **ANN)
    of_patient(images[5:], **BOB)
    world = Studies()
    first = world.revision(world.add(images[:5])).event
    world.store.delete(first.manifest)
    said = world.assess(world.revision(world.add(images[5:])))
    assert world.held == []
    assert said.findings[0].rule == "patient_not_compared"


def test_of_a_huge_study_those_who_say_whose_it_is_are_read_first() -> None:
    images = section_series()
    world = Studies(instances_max=5)
    late, early = sorted_by_name(images)
    of_patient(early, **ANN)
    of_patient(late, **BOB)
    world.assess(world.revision(world.add(early)))
    said = world.assess(world.revision(world.add(late)))
    assert said.held_count == 1
    (part,) = [one for one in said.findings if one.rule == "study_not_all_compared"]
    assert part.instance_count == 3


def sorted_by_name(images: Sequence[Dataset]) -> tuple[list[Dataset], list[Dataset]]:
    """The half whose keys come first, and the other."""
    ordered = sorted(images, key=lambda one: str(one.SOPInstanceUID))
    return ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]


def test_a_whole_study_that_was_read_is_not_said_to_be_compared_in_part() -> None:
    assert found(section_series()) == []


# With those who make revisions


class Hospital:
    """Revisions are made of what flows, assessed, and made again of what was held; time moves when the test says so."""

    def __init__(self) -> None:
        self.around = new_world()
        self.studies = Studies(store=self.around.store, log=self.around.log)
        self.member = self.around.member()
        self.assess = assess_of(self.studies, self.around.clock)
        self.assessed: list[StudyAssessed] = []
        self.held: set[str] = set()

    def send(self, images: Sequence[Dataset]) -> None:
        held_images.write(self.around.log, *(self.studies.validated(image).event for image in images))
        self.quiet()

    def release(self, images: Sequence[Dataset]) -> None:
        self._decide(images, "released", held_images.let_go)

    def reject(self, images: Sequence[Dataset]) -> None:
        """As who rejects what nothing had held."""
        self._decide(images, "rejected", lambda valid: held_images.held(valid, REJECTED, DECISION, 0), REJECTED)

    def _decide(
        self,
        images: Sequence[Dataset],
        action: Literal["released", "rejected"],
        followed_by: Callable[[InstanceValidated], Event],
        code: str = CONTRADICTS,
    ) -> None:
        self.studies.decide(images, action, code, at=self.around.clock.now())
        held_images.write(self.around.log, *(followed_by(self.studies.validated(image).event) for image in images))
        self.quiet()

    def quiet(self) -> None:
        """Until nothing that was held makes another revision."""
        self.around.quiet(self.member)
        while fresh := self.around.records()[len(self.assessed) :]:
            for event in fresh:
                outcome = self.assess(Input(event, Record(REVISION, "id", 0, 0, 0, None, None)), SystemClock())
                assert isinstance(outcome, Done)
                said = outcome.events(())
                self.assessed += [one for one in said if isinstance(one, StudyAssessed)]
                strange = [one for one in said if isinstance(one, InstanceQuarantined)]
                self.held |= {one.instance.digest for one in strange}
                held_images.write(self.around.log, *strange)
            self.around.quiet(self.member)

    @property
    def inside(self) -> set[str]:
        return self.around.manifest(self.around.records()[-1])


@pytest.mark.parametrize("said", ["released", "rejected"])
def test_a_person_ends_what_one_scout_of_another_patient_began(said: str) -> None:
    images = section_series()
    of_patient(images[:1], **BOB)
    of_patient(images[1:], **ANN)
    hospital = Hospital()
    scout, ours = images[:1], images[1:6]
    hospital.send(scout)
    hospital.send(ours)
    digests = hospital.studies.add(images)
    assert (hospital.held, hospital.inside) == (set(digests[1:6]), {digests[0]})
    if said == "rejected":
        hospital.reject(scout)
        assert hospital.inside == set()
    hospital.release(ours[:1])
    hospital.send(images[6:])
    assert hospital.held == set(digests[1:6]), "what came later flows"
    hospital.release(ours[1:])
    assert hospital.inside == set(digests) - (set(digests[:1]) if said == "rejected" else set())
    assert hospital.assessed[-1].held_count == 0
