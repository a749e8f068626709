"""What the catalog says of results and reviews, against a real PostgreSQL."""

from __future__ import annotations

from consumers.catalog.rebuild import Rebuild
from streams.identity import protected_key
from tests.catalogs import catalog_of, checksum_of, project, projected, rows
from tests.event_streams import TENANT, Candidate, Hospital, new_log, write
from tests.inference_events import result, review

CURRENT = "SELECT step, outcome, generation FROM current_inferences ORDER BY 1, 3"
STANDING = "SELECT outcome, input_count FROM standing_inferences ORDER BY 2"
REVIEWED = "SELECT verdict, reviewer, note_state::text, note FROM reviewed_findings"


def test_a_redrive_that_answers_ends_a_failure_and_a_newer_generation_ends_both(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1)
    answered = result(hospital, images)
    steps = (
        (result(hospital, images, outcome="failed", code="model_slow"), ("failed", 1)),
        (answered, ("analysed", 1)),
        (result(hospital, images, outcome="failed", code="model_away"), ("analysed", 1)),
        (result(hospital, images, generation=2, outcome="not_analysed", code="no_lung"), ("not_analysed", 2)),
    )
    with catalog_of(dsn, log, hospital) as catalog:
        for event, expected in steps:
            write(log, [event, event])
            project(catalog, log)
            assert rows(dsn, CURRENT) == [("ai.nodule-ct", *expected)]
    assert rows(dsn, "SELECT code FROM inferences WHERE outcome = 'failed'") == [("model_slow",)]
    assert rows(dsn, "SELECT count(*) FROM inferences") == [(3,)]
    assert rows(dsn, "SELECT kind, digest FROM inference_objects") == [("sr", answered.objects[0].instance.digest)]


def test_what_stands_is_about_the_images_that_a_series_has_now(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1)
    with catalog_of(dsn, log, hospital) as catalog:
        for event, expected in (
            (result(hospital, images[:1], outcome="out_of_scope", whole=True), [("out_of_scope", 1)]),
            (result(hospital, images[:2], revision=2), [("analysed", 2)]),
            (result(hospital, images, revision=3), [("analysed", 3)]),
        ):
            write(log, [event])
            project(catalog, log)
            assert rows(dsn, STANDING) == expected


def test_the_latest_review_is_beside_the_finding(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    found = result(hospital, hospital.study("P1", "DOE", series=1))
    first, second, third = (
        review(hospital, found, "rejected", note="scar, known since 2019"),
        review(hospital, found),
        review(hospital, found, "rejected", finding=False),
    )
    with catalog_of(dsn, log, hospital) as catalog:
        for events, expected in (
            ([found], (None, None, None, None)),
            ([first], ("rejected", "radiologist.1", "open", "scar, known since 2019")),
            ([third], ("rejected", "radiologist.1", None, None)),
            ([second, first], ("rejected", "radiologist.1", None, None)),
        ):
            write(log, events)
            project(catalog, log)
            assert rows(dsn, REVIEWED) == [expected]
    assert rows(dsn, "SELECT count(*) FROM reviews") == [(3,)]


def test_an_erased_note_is_a_tombstone(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    found = result(hospital, hospital.study("P1", "DOE", series=1))
    said = review(hospital, found, note="scar")
    write(log, [found, said])
    assert said.note is not None
    hospital.store._held.pop(("hot", protected_key(TENANT, said.note.block_id)))
    projected(dsn, log, hospital)
    assert rows(dsn, REVIEWED) == [("confirmed", "radiologist.1", "erased", None)]


def test_a_candidate_stands_once_it_is_switched_to(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1)
    claim = hospital.replay("ai.nodule-ct", 2)
    with catalog_of(dsn, log, hospital) as catalog:
        write(log, [result(hospital, images), claim, Candidate(result(hospital, images, generation=2))])
        project(catalog, log)
        assert rows(dsn, CURRENT) == [("ai.nodule-ct", "analysed", 1)]
        write(log, [hospital.came_to(claim, "switched")])
        project(catalog, log)
        assert rows(dsn, CURRENT) == [("ai.nodule-ct", "analysed", 2)]


def test_a_rebuild_is_equal(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE", series=1)
    found = result(hospital, images)
    write(log, [*images, found, review(hospital, found, note="scar"), result(hospital, images, outcome="failed")])
    projected(dsn, log, hospital)
    rebuilt = Rebuild(dsn, log, hospital.blocks, lambda *_: None).run(switch=True)
    assert rebuilt.equal
    assert checksum_of(dsn).tables["reviews"].rows == 1
