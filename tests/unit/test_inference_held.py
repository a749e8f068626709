"""Of what is held no model is asked anything, and what was said with it is said anew without it."""

from __future__ import annotations

import pytest

from streams.events import InferenceResult
from streams.events import InstanceValidated as Valid
from streams.step import Input, RetryLater
from tests import held_images
from tests.ai_world import Bright, World, chest, results


@pytest.fixture
def world() -> World:
    return World()


def by_series(world: World, item: Input) -> dict[str | None, InferenceResult]:  # type: ignore[type-arg]
    return {one.series_uid: one for one in results(world.said(item))}


def series_uid(images: list) -> str:  # type: ignore[type-arg]
    return str(images[0].SeriesInstanceUID)


def valid_of(world: World, dataset: object) -> Valid:
    return world.validated(dataset).event


def test_a_series_with_an_image_that_is_held_by_now_is_not_asked_about(world: World) -> None:
    _, soft, lung = chest()
    revision = world.revision(world.add([*soft, *lung]))
    held_images.write(world.log, held_images.held(valid_of(world, soft[0])))

    outcome = world.outcome(revision)
    assert isinstance(outcome, RetryLater)
    assert outcome.scope == "subject"
    assert [one.series_uid for one in results(world.emitted(outcome.meanwhile))] == [series_uid(lung)]
    assert world.models[0].calls == 1

    world.without([valid_of(world, soft[0]).instance.digest], series_uid(soft))
    assert set(by_series(world, revision)) == {series_uid(lung)}
    assert world.models[0].calls == 1


def test_what_is_released_before_its_study_has_a_revision_without_it_is_analysed(world: World) -> None:
    """No revision comes of a hold that did not last."""
    _, soft, lung = chest()
    revision = world.revision(world.add([*soft, *lung]))
    held_images.write(world.log, held_images.held(valid_of(world, soft[0])))
    assert isinstance(world.outcome(revision), RetryLater)

    held_images.write(world.log, held_images.decision(valid_of(world, soft[0]), "released"))
    assert set(by_series(world, revision)) == {series_uid(soft), series_uid(lung)}


def test_the_revision_without_it_is_analysed_anew_and_the_other_series_is_as_it_was(world: World) -> None:
    _, soft, lung = chest()
    digests = world.add([*soft, *lung])
    first = by_series(world, world.revision(digests))
    second = by_series(world, world.without(digests[:1], series_uid(soft)))

    assert second[series_uid(lung)] == first[series_uid(lung)]
    anew = second[series_uid(soft)]
    assert (anew.outcome, anew.revision, anew.input_count) == ("analysed", 2, 3)
    assert anew.input_digest != first[series_uid(soft)].input_digest


def test_images_that_were_analysed_before_a_stray_one_came_are_not_answered_by_that_result(world: World) -> None:
    """Who reads results takes the last one of a series: that is to be the one without the stray image."""
    _, soft, lung = chest()
    own = world.add(soft)
    lung[0].SeriesInstanceUID = soft[0].SeriesInstanceUID
    stray = world.add([lung[0]])
    first = by_series(world, world.revision(own))[series_uid(soft)]
    by_series(world, world.revision(stray))
    third = by_series(world, world.without(stray, series_uid(soft)))[series_uid(soft)]

    assert third.input_digest == first.input_digest
    assert third.meta.event_id != first.meta.event_id
    assert (first.revision, third.revision) == (1, 3)
    # An image that comes late in another series changes none of it.
    later = by_series(world, world.revision(world.add(lung[1:])))[series_uid(soft)]
    assert later == third


def test_of_a_series_that_is_held_as_a_whole_it_is_said_that_nothing_stands(world: World) -> None:
    _, soft, lung = chest()
    gone = world.add(soft)
    world.revision([*gone, *world.add(lung)])
    found = by_series(world, world.without(gone, series_uid(soft)))

    assert found[series_uid(lung)].outcome == "analysed"
    withdrawn = found[series_uid(soft)]
    assert (withdrawn.outcome, withdrawn.code, withdrawn.revision) == ("not_analysed", "images_held", 2)
    assert (withdrawn.input_count, withdrawn.findings, withdrawn.objects) == (0, (), ())


def test_a_model_of_single_images_is_not_asked_about_one_that_is_held() -> None:
    world = World([Bright(unit="instance")])
    item = world.validated(chest()[1][0])
    held_images.write(world.log, held_images.held(item.event))
    assert world.said(item) == []
    assert world.models[0].calls == 0


def test_where_the_log_does_not_say_what_is_held_everybody_waits(world: World) -> None:
    revision = world.revision(world.add(chest()[1]))
    world.log.away = True
    outcome = world.outcome(revision)
    assert isinstance(outcome, RetryLater)
    assert outcome.scope == "world"
