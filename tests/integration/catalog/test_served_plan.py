"""What a request is about costs as much as it has instances, also in a catalog that PostgreSQL has not analysed yet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from consumers.catalog.database import snapshot
from gateway.dicomweb.served import _SERIES, _SHOWN
from gateway.dimse.selecting import _INSTANCES
from tests.catalogs import projected
from tests.event_streams import TENANT, Hospital, new_log, write
from tests.import_events import DISC

IMAGES = 200


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def test_nothing_is_worked_out_anew_for_each_instance_of_a_series(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE^ANN", series=1, images=IMAGES)
    write(log, [said for one in images for said in (one, hospital.validated(one), hospital.derived(one))])
    projected(dsn, log, hospital)
    uids = images[0].instance
    names = {"tenant": TENANT, "study": uids.study_uid, "series": uids.series_uid, "instance": None}
    question = _SHOWN.format(wanted=_SERIES)
    with snapshot(dsn) as cursor:
        assert len(cursor.execute(question.encode(), names, prepare=False).fetchall()) == IMAGES
        explained = cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {question}".encode(), names, prepare=False)
        (((told,),),) = explained.fetchall()
    # Looking through what is there already is cheap; the rest grows with the images, and not with their square.
    made = [one for one in nodes(told["Plan"]) if one["Node Type"] != "CTE Scan"]
    assert max(one["Actual Rows"] * one["Actual Loops"] for one in made) <= 10 * IMAGES


def test_what_may_be_told_is_not_looked_for_among_all_that_came_from_outside(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    ours = hospital.study("P1", "DOE^ANN", series=1, images=IMAGES)
    uids = ours[0].instance
    added = [
        hospital.received(uids.study_uid, uids.series_uid, {"PatientID": "P9"}, number=number, outside=DISC)
        for number in range(IMAGES)
    ]
    write(log, [said for one in (*ours, *added) for said in (one, hospital.validated(one))])
    projected(dsn, log, hospital)
    names = {"tenant": TENANT, "studies": [uids.study_uid], "series": None, "instances": None, "limit": 10_000}
    with snapshot(dsn) as cursor:
        assert len(cursor.execute(_INSTANCES.encode(), names, prepare=False).fetchall()) == IMAGES
        explained = cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {_INSTANCES}".encode(), names, prepare=False)
        (((told,),),) = explained.fetchall()
    looked = [one.get("Rows Removed by Filter", 0) * one["Actual Loops"] for one in nodes(told["Plan"])]
    assert max(looked) <= 10 * IMAGES
