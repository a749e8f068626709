"""What is said of a study as a whole is rows, and what is of another patient is shown as held."""

from __future__ import annotations

from consumers.catalog.counts import open_work
from consumers.catalog.database import snapshot
from consumers.catalog.study import Study, study
from streams.events import Event
from tests.assessment_events import assessed, strangers_among
from tests.catalogs import checksum_of, projected
from tests.event_streams import TENANT, Hospital, new_log, write


def shown(dsn: str, study_uid: str) -> Study:
    with snapshot(dsn) as cursor:
        found = study(cursor, TENANT, study_uid)
    assert found is not None
    return found


def kept(dsn: str, hospital: Hospital, *events: Event) -> None:
    log = new_log()
    write(log, events)
    projected(dsn, log, hospital)


def test_a_study_shows_what_is_said_of_its_latest_revision(dsn: str) -> None:
    hospital = Hospital()
    images = hospital.study("P1", "DOE")
    verdicts = [hospital.validated(image) for image in images]
    first, second = hospital.revision(images[:4]), hospital.revision(images, 2)
    log = new_log()
    write(log, [*images, *verdicts, first, second, assessed(hospital, first, "series_gap", "positions_repeat")])
    projected(dsn, log, hospital)
    with snapshot(dsn) as cursor:
        assert open_work(cursor)["studies whose current revision is not assessed"] == 1
    assert [one["rule"] for one in shown(dsn, first.study_uid).study_findings] == ["series_gap", "positions_repeat"]

    write(log, [assessed(hospital, second, "instance_conflict")])
    projected(dsn, log, hospital)
    (one,) = shown(dsn, first.study_uid).study_findings
    assert (one["rule"], one["instances"], one["series_uid"]) == ("instance_conflict", 7, "1.2.4")
    assert one["first"] == [{"sop_instance_uid": "1.2.3", "digest": "a" * 64}]
    with snapshot(dsn) as cursor:
        assert open_work(cursor)["studies whose current revision is not assessed"] == 0


def test_what_is_of_another_patient_is_held_and_no_longer_served(dsn: str) -> None:
    hospital = Hospital()
    images = hospital.study("P1", "DOE")
    revision = hospital.revision(images)
    events = [*images, *(hospital.validated(image) for image in images), revision]
    kept(dsn, hospital, *events, *strangers_among(hospital, images[:2]), assessed(hospital, revision, held=2))
    found = shown(dsn, revision.study_uid)
    assert (found.counts.served, found.counts.quarantined, found.counts.instances) == (4, 2, 6)
    assert {(one["code"], one["step"]) for one in found.quarantined} == {("contradicts_patient", "assess")}


def test_of_one_event_said_twice_the_first_counts_whole(dsn: str) -> None:
    hospital = Hospital()
    images = hospital.study("P1", "DOE")
    revision = hospital.revision(images)
    first, again = assessed(hospital, revision, "series_gap"), assessed(hospital, revision, "a", "b", "c")
    log = new_log()
    write(log, [*images, revision, first])
    projected(dsn, log, hospital)
    before = checksum_of(dsn)
    write(log, [again])
    projected(dsn, log, hospital)
    assert checksum_of(dsn) == before
    assert [one["rule"] for one in shown(dsn, revision.study_uid).study_findings] == ["series_gap"]
