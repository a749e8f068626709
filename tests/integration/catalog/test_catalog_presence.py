"""Which instances the catalog has, as a migration asks for them."""

from __future__ import annotations

from collections.abc import Collection

from consumers.catalog.database import snapshot
from consumers.catalog.presence import Present, present
from tests.catalogs import projected
from tests.event_streams import TENANT, Hospital, new_log, whole, write


def here(dsn: str, study_uid: str, uids: Collection[str] = ()) -> dict[str, Present]:
    with snapshot(dsn) as cursor:
        return present(cursor, TENANT, study_uid, uids)


def test_all_of_a_study_and_what_is_named_elsewhere(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    one = hospital.study("P1", "DOE^JANE", series=2, images=2)
    other = hospital.study("P2", "DOE^JOHN", series=1, images=1)
    write(log, [*one, *other])
    projected(dsn, log, hospital)
    found = here(dsn, one[0].instance.study_uid)
    assert found.keys() == {image.instance.sop_instance_uid for image in one}
    assert {(row.lane, row.verdict) for row in found.values()} == {("routine", None)}
    elsewhere = other[0].instance
    found = here(dsn, one[0].instance.study_uid, [elsewhere.sop_instance_uid, "1.2.3"])
    assert found[elsewhere.sop_instance_uid].study_uid == elsewhere.study_uid
    assert len(found) == len(one) + 1
    assert here(dsn, "1.2.3") == {}


def test_each_has_the_verdict_of_validation_and_held_wins(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    images = hospital.study("P1", "DOE^JANE", series=1, images=2)
    held = hospital.received(images[0].instance.study_uid, images[0].instance.series_uid, {"PatientID": "P1"})
    write(log, [*whole(hospital, images), held, hospital.again(held), hospital.quarantined(held)])
    projected(dsn, log, hospital)
    found = here(dsn, images[0].instance.study_uid)
    assert found[held.instance.sop_instance_uid].verdict == "quarantined"
    assert {found[image.instance.sop_instance_uid].verdict for image in images} == {"validated"}
