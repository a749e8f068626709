"""What people ask of the catalog: pages of studies, one study whole, and how much there is."""

from __future__ import annotations

import pytest

from consumers.catalog.counts import counts, open_work
from consumers.catalog.database import snapshot
from consumers.catalog.progress import behind, log_ends
from consumers.catalog.studies import BadToken, Page, page
from consumers.catalog.study import Study, study
from streams.events import InstanceReceived
from streams.memory_log import MemoryLog
from tests.catalogs import projected
from tests.event_streams import TENANT, Candidate, Hospital, new_log, night, whole, write


def page_of(dsn: str, limit: int = 50, after: str | None = None, patient: str | None = None) -> Page:
    with snapshot(dsn) as cursor:
        return page(cursor, TENANT, limit=limit, after=after, patient_id=patient)


def study_of(dsn: str, study_uid: str) -> Study | None:
    with snapshot(dsn) as cursor:
        return study(cursor, TENANT, study_uid)


def filled(dsn: str, dates: list[str]) -> tuple[Hospital, MemoryLog, list[list[InstanceReceived]]]:
    hospital, log = Hospital(), new_log()
    studies = [
        hospital.study(f"P{number % 2}", f"DOE^{number}", date=date, series=1, images=1)
        for number, date in enumerate(dates)
    ]
    write(log, [image for images in studies for image in images])
    projected(dsn, log, hospital)
    return hospital, log, studies


def test_pages_hold_every_study_once_newest_first_and_undated_ones_last(dsn: str) -> None:
    filled(dsn, ["20260101", "20260301", "", "20260201", "not a date", "20260301", "1999.12.31"])
    found, token = [], None
    for _ in range(4):
        one = page_of(dsn, limit=2, after=token)
        found += one.studies
        token = one.next
    assert token is None
    dates = [line.study_date.isoformat() if line.study_date else None for line in found]
    assert dates == ["2026-03-01", "2026-03-01", "2026-02-01", "2026-01-01", "1999-12-31", None, None]
    assert len({line.study_uid for line in found}) == 7
    assert found == page_of(dsn).studies


def test_studies_of_one_patient(dsn: str) -> None:
    filled(dsn, ["20260101", "20260102", "20260103"])
    assert [line.patient_name for line in page_of(dsn, patient="P0").studies] == ["DOE^2", "DOE^0"]
    assert page_of(dsn, patient="P").studies == []


@pytest.mark.parametrize("token", ["x", "!!", "bnVsbA", "WzEsMl0", "WyIyMDI2IiwiMSJd"])
def test_a_token_that_no_page_gave_is_refused(dsn: str, token: str) -> None:
    with pytest.raises(BadToken):
        page_of(dsn, after=token)


def test_a_study_says_what_became_of_its_images(dsn: str) -> None:
    hospital, log = Hospital(seed=7), new_log()
    images = hospital.study("P1", "DOE^JANE", series=2, images=2)
    held = hospital.received(images[0].instance.study_uid, images[0].instance.series_uid, {"PatientID": "P1"})
    write(log, [*whole(hospital, images), held, hospital.again(held), hospital.quarantined(held)])
    projected(dsn, log, hospital)
    found = study_of(dsn, images[0].instance.study_uid)
    assert found is not None
    assert found.patient["PatientName"] == "DOE^JANE"
    assert found.block_state == "open"
    assert (found.counts.instances, found.counts.served, found.counts.quarantined) == (6, 5, 1)
    assert [one["instances"] for one in found.series] in ([2, 4], [4, 2])
    assert [(one["code"], one["digest"]) for one in found.quarantined] == [("truncated", held.instance.digest)]
    copies = {one["kind"]: (one["copies"], one["bytes"]) for one in found.copies}
    assert copies == {"lossless": (5, 5 * 190_000), "thumbnail": (5, pictures := copies["thumbnail"][1])}
    assert found.savings.derived == 5 * 190_000 + pictures
    assert found.savings.saved == -found.savings.derived, "originals are kept, so copies save less than nothing"
    assert found.savings.saved_if_released == 5 * (527_000 - 190_000) - pictures
    assert [(one["revision"], one["instances"]) for one in found.revisions] == [(1, 4), (2, 5)]
    assert found.p50_s is not None


def test_an_unknown_study_is_none(dsn: str) -> None:
    assert study_of(dsn, "1.2.3") is None


def test_an_image_with_another_name_that_comes_late_does_not_rename_the_study(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    (first,) = hospital.study("P1", "DOE^JANE", series=1, images=1)
    uids = first.instance
    headless = hospital.received(uids.study_uid, uids.series_uid, {})
    late = hospital.received(uids.study_uid, uids.series_uid, {"PatientID": "P2", "PatientName": "ROE^RICHARD"})
    write(log, [late, headless, first])
    projected(dsn, log, hospital)
    assert [line.patient_name for line in page_of(dsn).studies] == ["DOE^JANE"]


def test_counts_are_those_of_the_distinct_events_and_open_work_ends_at_zero(dsn: str) -> None:
    hospital, log = Hospital(seed=8), new_log()
    images = hospital.study("P1", "DOE")
    write(log, images)
    projected(dsn, log, hospital)
    with snapshot(dsn) as cursor:
        assert counts(cursor)["imaging.instance.received"] == 6
        assert open_work(cursor)["without a verdict"] == 6
    write(log, whole(hospital, images))
    with snapshot(dsn) as cursor:
        assert sum(behind(cursor, log_ends(log)).values()) > 0
    projected(dsn, log, hospital)
    with snapshot(dsn) as cursor:
        assert behind(cursor, log_ends(log)) == {}
        assert set(open_work(cursor).values()) == {0}
        assert counts(cursor)["imaging.instance.received"] == 7
        assert counts(cursor)["imaging.study.revision"] == 2


def test_counts_agree_with_the_events_of_a_night(dsn: str) -> None:
    hospital, log = Hospital(seed=9), new_log()
    events = list(night(hospital))
    write(log, events)
    projected(dsn, log, hospital)
    with snapshot(dsn) as cursor:
        found = counts(cursor)
    said = [event.event if isinstance(event, Candidate) else event for event in events]
    assert sum(found.values()) == len({event.meta.event_id for event in said})
