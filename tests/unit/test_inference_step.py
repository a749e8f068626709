"""What a revision becomes: a result for each model and series, the same however often, and never of itself."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from msgspec import structs
from structlog.testing import capture_logs

from consumers.ai.analysis import Analysed, ModelAway, ModelSlow, NotAnalysed, OutOfMemory, Times, WrongShape
from consumers.ai.config import Limits
from consumers.ai.volume import OutOfScope
from streams import reading_large
from streams.events import InstanceReceived, ObjectRef, StudyRevision
from streams.identity import derived_key, uid_of_event
from streams.memory_store import MemoryStore
from streams.objects import StoreAway, StoreRefused
from streams.revisions.step import set_digest
from streams.step import Done, Input, NewObject, RetryLater, Stored
from tests.ai_world import TENANT, Bright, World, chest, identity_of, results
from tests.large_objects import full


@pytest.fixture
def world() -> World:
    return World()


def whole(world: World) -> Input[StudyRevision]:
    return world.revision(world.add([one for series in chest() for one in series]))


def raises(error: Exception):
    def instead(_: object) -> None:
        raise error

    return instead


def test_each_series_in_scope_has_a_result_with_its_findings_and_objects(world: World) -> None:
    events = world.said(whole(world))

    found = results(events)
    series = chest()[1:]
    assert [one.series_uid for one in found] == sorted(str(images[0].SeriesInstanceUID) for images in series)
    for one in found:
        identity = identity_of(world.models[0])
        assert one.meta.subject == f"{world.study_uid}/{one.series_uid}/{one.input_digest}"
        assert one.meta.event_id == identity.event_id(TENANT, one.meta.subject, 0)
        assert (one.outcome, one.status, one.requires_review, one.revision) == ("analysed", "preliminary", True, 1)
        assert (one.input_count, one.provenance.models) == (4, ("a" * 64,))
        (finding,) = one.findings
        assert finding.finding_id == str(uuid.uuid5(uuid.UUID(one.meta.event_id), "0"))
        assert [made.kind for made in one.objects] == ["sr", "seg"]
        for place, made in enumerate(one.objects, start=1):
            announced = identity.event_id(TENANT, one.meta.subject, place)
            assert made.instance.sop_instance_uid == uid_of_event(announced)
            (event,) = [event for event in events if event.meta.event_id == announced]
            assert isinstance(event, InstanceReceived)
            assert (event.source.protocol, event.protected, event.object) == ("ai", (), made.object)
            assert world.store.exists(made.object)


def test_the_same_again_says_what_is_kept_and_asks_no_model(world: World) -> None:
    revision = whole(world)
    first = world.said(revision)
    calls = world.models[0].calls

    assert world.said(revision) == first
    assert world.models[0].calls == calls


def test_who_loses_the_race_says_what_the_first_one_kept(world: World) -> None:
    revision = whole(world)
    late = world.outcome(revision)
    world.models[0].instead = lambda _: Analysed((), Times(1.0, 1.0))
    first = world.said(revision)

    assert isinstance(late, Done)
    assert world.emitted(late) == first
    assert [one.findings for one in results(first)] == [(), ()]


def test_a_revision_of_its_own_output_says_nothing_new(world: World) -> None:
    """The bound of the loop: SR and SEG make a revision, and that says the same as the one before."""
    world.models = [Bright(), Bright("mammo", modalities=("MG",))]
    first = world.said(whole(world))
    made = list(world.files(first).values())
    calls = world.models[0].calls

    again = world.said(world.revision(world.add(made)))

    assert {event.meta.event_id for event in again} == {event.meta.event_id for event in first}
    assert [one.outcome for one in results(again)] == ["analysed", "analysed", "out_of_scope"]
    assert world.models[0].calls == calls


def test_reports_and_segmentations_are_never_analysed(world: World) -> None:
    made = world.files(world.said(whole(world)))
    other = World([Bright(modalities=())], study_uid=world.study_uid)
    events = other.said(other.revision(other.add([made["SR"], made["SEG"]])))

    assert [one.code for one in results(events)] == ["no_series_in_scope"]
    assert other.models[0].calls == 0


def test_a_late_image_makes_a_new_result_of_its_series_alone(world: World) -> None:
    localiser, soft, lung = chest()
    first = world.said(world.revision(world.add([*localiser, *soft, *lung[:3]])))
    second = world.said(world.revision(world.add(lung[3:])))

    before, after = ({one.series_uid: one for one in results(events)} for events in (first, second))
    assert after[soft[0].SeriesInstanceUID].meta.event_id == before[soft[0].SeriesInstanceUID].meta.event_id
    assert after[lung[0].SeriesInstanceUID].meta.event_id != before[lung[0].SeriesInstanceUID].meta.event_id
    assert after[lung[0].SeriesInstanceUID].input_count == 4
    assert world.models[0].calls == 3


def test_a_study_without_a_series_in_scope_is_said_once(world: World) -> None:
    localiser, *_ = chest()
    digests = world.add(localiser)

    (one,) = results(world.said(world.revision(digests)))

    assert (one.outcome, one.code, one.series_uid) == ("out_of_scope", "no_series_in_scope", None)
    assert one.meta.subject == f"{world.study_uid}/1"
    assert (one.input_digest, one.input_count) == (set_digest(digests), 2)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(NotAnalysed("no_lung", "No lung."), "not_analysed"), (OutOfScope("contrast", "Contrast."), "out_of_scope")],
)
def test_a_reason_of_the_model_is_a_result(world: World, answer: NotAnalysed | OutOfScope, outcome: str) -> None:
    world.models[0].instead = lambda _: answer

    found = results(world.said(whole(world)))

    assert [(one.outcome, one.code, one.detail) for one in found] == [(outcome, answer.code, answer.detail)] * 2


def test_images_are_found_wherever_they_were_moved(world: World) -> None:
    localiser, soft, _ = chest()
    digests = world.add(localiser) + world.add(soft, store="cold")

    (one,) = results(world.said(world.revision(digests)))

    assert one.outcome == "analysed"


def test_a_series_that_is_too_large_is_not_read(world: World) -> None:
    made = world.outcome(whole(world), Limits(series_bytes_max=1000))

    assert isinstance(made, Done)
    assert [(one.outcome, one.code) for one in results(world.emitted(made))] == [("not_analysed", "too_large")] * 2


@pytest.mark.parametrize(
    ("error", "code", "attempts_max"),
    [
        (ModelSlow("5 s"), "model_slow", 3),
        (WrongShape("2, not 3"), "wrong_shape", 3),
        (OutOfMemory("no"), "out_of_memory", 3),
        (MemoryError(), "out_of_memory", 3),
        (ModelAway("no answer"), "model_away", 12),
        (ValueError("DOE^JANE"), "unplanned", 3),
    ],
)
def test_a_model_that_fails_is_asked_again_and_the_others_answer(
    error: Exception, code: str, attempts_max: int
) -> None:
    world = World([Bright(instead=raises(error)), Bright("sound")])
    revision = whole(world)

    made = world.outcome(revision)

    assert isinstance(made, RetryLater)
    assert (made.reason, made.scope, made.attempts_max) == (f"bright: {code}", "subject", attempts_max)
    assert {one.provenance.step for one in results(world.emitted(made.meanwhile))} == {"ai.sound"}
    failed = results(world.emitted(made.given_up))
    assert [(one.outcome, one.code, one.provenance.step) for one in failed] == [("failed", code, "ai.bright")] * 2
    assert not any("DOE" in one.detail for one in failed)

    world.models[0].instead = lambda _: None
    redriven = results(world.said(revision))
    assert [one.outcome for one in redriven] == ["analysed"] * 4
    assert not {one.meta.event_id for one in redriven} & {one.meta.event_id for one in failed}


def test_an_image_that_is_in_no_store_is_waited_for(world: World) -> None:
    digests = world.add(chest()[1])
    made = world.outcome(world.revision([*digests, "0" * 64]))

    assert isinstance(made, RetryLater)
    assert (made.reason, made.scope) == ("bright: images_absent", "subject")
    (failed,) = results(world.emitted(made.given_up))
    assert (failed.outcome, failed.meta.subject) == ("failed", f"{world.study_uid}/1")


def test_damaged_bytes_are_said_to_be_so(world: World) -> None:
    class Rotten(MemoryStore):
        def read(self, ref: ObjectRef) -> bytes:
            return super().read(structs.replace(ref, sha256="0" * 64) if ref.key.endswith(f"{last}.dcm") else ref)

    world.store = Rotten()
    *digests, last = world.add(chest()[1])
    made = world.outcome(world.revision([*digests, last]))

    assert isinstance(made, RetryLater)
    assert made.reason == "bright: images_damaged"


@pytest.mark.parametrize("large", ["each", "one"])
def test_images_that_there_is_no_disk_for_are_waited_for_alone(
    world: World, large: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the smallest one, whose header says what series it is, or one that the model takes."""
    images = chest()[1]
    images[0].ImageComments = "x" * 1000
    revision = world.revision(world.add(images))
    smallest = min(size for _, size in world.store.keys("hot", f"{TENANT}/studies/"))
    monkeypatch.setattr(reading_large, "LARGE_BYTES", smallest if large == "one" else 0)
    world.store.objects_folder = full(tmp_path)
    with capture_logs() as logged:
        made = world.outcome(revision)

    assert isinstance(made, RetryLater)
    assert (made.reason, made.scope) == ("bright: no_room", "subject")
    (failed,) = results(world.emitted(made.given_up))
    assert "objects_folder" in failed.detail
    assert "no_room" in {one["event"] for one in logged}


def test_a_copy_that_rotted_is_passed_over_for_a_whole_one(world: World) -> None:
    class Rotten(MemoryStore):
        def read(self, ref: ObjectRef) -> bytes:
            rotten = ref.store == "hot" and "/studies/" in ref.key
            return super().read(structs.replace(ref, sha256="0" * 64) if rotten else ref)

    world.store = Rotten()
    revision = whole(world)
    for key, _ in list(world.store.keys("hot", f"{TENANT}/studies/")):
        held = world.store.find(TENANT, "hot", key)
        assert held is not None
        world.store.create(NewObject(TENANT, "backup", key, held.data))

    assert {one.outcome for one in results(world.said(revision))} == {"analysed"}


def test_a_kept_result_that_is_damaged_is_said_and_keeps_no_other_model_back() -> None:
    world = World([Bright(), Bright("sound")])
    revision = whole(world)
    spoilt = results(world.emitted(world.outcome(revision)))[0]
    world.store = world.store.__class__()
    revision = whole(world)
    world.store.create(NewObject(TENANT, "hot", derived_key(TENANT, spoilt.meta.event_id), b""))

    made = world.outcome(revision)

    assert isinstance(made, RetryLater)
    assert made.reason == "bright: kept_unreadable"
    assert "ai.sound" in {one.provenance.step for one in results(world.emitted(made.meanwhile))}
    assert [one.outcome for one in results(world.emitted(made.given_up))] == ["failed"]


def test_a_store_that_is_away_is_everybodys_wait(world: World) -> None:
    class Away(MemoryStore):
        def create(self, new: NewObject) -> Stored:
            raise StoreAway("no answer")

    revision = whole(world)
    world.store.__class__ = Away
    with pytest.raises(StoreAway):
        world.outcome(revision)


def test_an_object_that_the_store_refuses_fails_its_own_result(world: World) -> None:
    class Refusing(MemoryStore):
        def create(self, new: NewObject) -> Stored:
            raise StoreRefused("too large")

    revision = whole(world)
    world.store.__class__ = Refusing
    made = world.outcome(revision)
    assert isinstance(made, RetryLater)
    assert (made.scope, made.reason) == ("subject", "bright: object_refused")


def test_an_instance_has_a_result_of_its_own() -> None:
    world = World([Bright(unit="instance")])
    item = world.validated(chest()[1][0])
    digest = item.event.instance.digest

    (one,) = results(world.said(item))

    assert (one.meta.subject, one.input_digest, one.sop_instance_uid) == (
        digest,
        digest,
        item.event.instance.sop_instance_uid,
    )
    assert (one.outcome, one.revision) == ("analysed", None)
    assert world.said(world.revision([digest])) == []


def test_without_models_nothing_is_read() -> None:
    world = World([])
    assert world.said(world.revision(["0" * 64])) == []


def test_the_result_is_kept_under_its_name(world: World) -> None:
    events = world.said(whole(world))
    keys = {key for key, _ in world.store.keys("hot", f"{TENANT}/derived/")}
    assert {derived_key(TENANT, one.meta.event_id) for one in results(events)} <= keys
