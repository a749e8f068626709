"""Studies from outside: another hospital's numbers are never ours by chance; a person decides whose they are here."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from consumers.catalog.database import snapshot
from consumers.catalog.imports import Import, alike, has_decision, imports, patients
from consumers.catalog.orders import orders, whole
from consumers.catalog.studies import StudyLine, page
from consumers.catalog.study import study
from consumers.catalog.worklist import Asked, scheduled
from streams.events import Event, Outside
from streams.identity import protected_key
from tests.catalogs import catalog_of, checksum_of, project, projected, rows
from tests.event_streams import TENANT, Hospital, new_log, night, write
from tests.import_events import DISC, decided, from_outside
from tests.order_events import an_order, commanded


def kept(dsn: str, hospital: Hospital, *events: Event) -> None:
    log = new_log()
    write(log, events)
    projected(dsn, log, hospital)


def one(dsn: str, study_uid: str) -> Import:
    with snapshot(dsn) as cursor:
        (found,) = imports(cursor, TENANT, study_uid=study_uid)
    return found


def listed(dsn: str, patient_id: str | None = None) -> list[StudyLine]:
    with snapshot(dsn) as cursor:
        return page(cursor, TENANT, limit=100, patient_id=patient_id).studies


@pytest.mark.parametrize(
    ("attributes", "issuer"), [({}, "ST-MARY"), ({"IssuerOfPatientID": "ST-JOHN"}, "ST-JOHN")], ids=["rule", "said"]
)
def test_a_study_from_outside_is_of_the_issuers_patient(dsn: str, attributes: dict[str, str], issuer: str) -> None:
    """Our patient P1 has no issuer, like theirs: the numbers are equal by chance."""
    hospital = Hospital()
    ours = hospital.received(hospital.uid(), hospital.uid(), {"PatientID": "P1", "PatientName": "Roe^Ann"})
    theirs = from_outside(hospital, **attributes)
    kept(dsn, hospital, ours, theirs)
    found = rows(dsn, "SELECT issuer, name FROM patients WHERE patient_id = 'P1' ORDER BY issuer")
    assert found == [("", "Roe^Ann"), (issuer, "DOE^J")]
    came = one(dsn, theirs.instance.study_uid)
    assert (came.outside, came.original_issuer, came.original_patient_id) == ("compact-discs", issuer, "P1")
    assert not came.reconciled
    with snapshot(dsn) as cursor:
        assert [found.study_uid for found in imports(cursor, TENANT)] == [theirs.instance.study_uid]


@pytest.mark.parametrize("order_issuer", ["", "NORTH", "ST-MARY"])
def test_a_study_from_outside_is_of_no_order_by_chance(dsn: str, order_issuer: str) -> None:
    hospital = Hospital()
    placed = commanded(hospital, an_order(said={"IssuerOfPatientID": order_issuer}))
    image = from_outside(hospital)
    kept(dsn, hospital, placed, image)
    assert rows(dsn, "SELECT study_uid FROM order_studies") == []


def test_a_decision_gives_it_a_patient_and_an_order_and_keeps_what_it_came_with(dsn: str) -> None:
    hospital = Hospital()
    placed, image = commanded(hospital, an_order("A-900")), from_outside(hospital)
    study_uid = image.instance.study_uid
    decision = decided(hospital, study_uid, order_id=placed.order_id)
    kept(dsn, hospital, placed, image, decision)
    found = one(dsn, study_uid)
    assert found.reconciled
    assert (found.patient_id, found.patient_issuer, found.accession_number) == ("P1", "NORTH", "A-900")
    assert (found.original_patient_id, found.original_issuer, found.original_accession) == ("P1", "ST-MARY", "A-100")
    assert (found.actor, found.why) == ("film.library", "brought by Mrs Doe")
    with snapshot(dsn) as cursor:
        (order,) = orders(cursor, TENANT, study_uid=study_uid)
        assert whole(cursor, TENANT, order).studies == [{"study_uid": study_uid, "by_uid": False, "by_decision": True}]
        shown = study(cursor, TENANT, study_uid)
        assert has_decision(cursor, decision.meta.event_id)
        assert [(one.issuer, one.name) for one in patients(cursor, TENANT, "P1")] == [("NORTH", "Doe^Jane")]
    assert shown is not None
    assert shown.imported == found
    assert shown.patient["PatientName"] == "DOE^J"  # as the bytes say
    (line,) = listed(dsn)
    assert (line.patient_id, line.patient_name, line.accession_number) == ("P1", "Doe^Jane", "A-900")
    assert (line.outside, line.reconciled) == ("compact-discs", True)


def test_an_order_for_an_import_is_on_the_worklist_until_it_is_reconciled(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    placed, image = commanded(hospital, an_order("A-900")), from_outside(hospital)
    study_uid = image.instance.study_uid
    with catalog_of(dsn, log, hospital) as catalog:
        for event, waiting in (
            (placed, 1),
            (image, 1),
            (decided(hospital, study_uid, order_id=placed.order_id), 0),
            (decided(hospital, study_uid, "unreconciled"), 1),
        ):
            write(log, [event])
            project(catalog, log)
            with snapshot(dsn) as cursor:
                assert len(list(scheduled(cursor, TENANT, Asked()))) == waiting


def test_the_last_decision_holds_and_one_that_takes_it_back_gives_the_old_identity_again(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    image = from_outside(hospital, PatientID="X9")
    study_uid = image.instance.study_uid
    first = decided(hospital, study_uid, PatientID="P1")
    with catalog_of(dsn, log, hospital) as catalog:
        for event, patient in (
            (image, "X9"),
            (first, "P1"),
            (decided(hospital, study_uid, PatientID="P2"), "P2"),
            (decided(hospital, study_uid, "unreconciled"), "X9"),
            (first, "X9"),  # a record of it that comes late
        ):
            write(log, [event])
            project(catalog, log)
            (line,) = listed(dsn)
            assert (line.patient_id, line.reconciled) == (patient, patient != "X9")
            assert [found.study_uid for found in listed(dsn, patient)] == [study_uid]
            assert listed(dsn, "P2" if patient != "P2" else "P1") == []


def test_a_person_may_decide_on_a_study_that_no_rule_calls_from_outside(dsn: str) -> None:
    hospital = Hospital()
    image = hospital.received(hospital.uid(), hospital.uid(), {"PatientID": "X9"})
    study_uid = image.instance.study_uid
    kept(dsn, hospital, image)
    with snapshot(dsn) as cursor:
        assert imports(cursor, TENANT, study_uid=study_uid) == []
        assert imports(cursor, TENANT, study_uid=study_uid, any_study=True)[0].outside is None
    (line,) = listed(dsn)
    assert (line.outside, line.reconciled) == (None, False)


def test_an_erased_decision_is_a_tombstone_and_not_the_old_patient(dsn: str) -> None:
    hospital = Hospital()
    image = from_outside(hospital)
    decision = decided(hospital, image.instance.study_uid)
    assert decision.identity is not None
    hospital.store._held.pop(("hot", protected_key(TENANT, decision.identity.block_id)))
    kept(dsn, hospital, image, decision)
    found = one(dsn, image.instance.study_uid)
    assert (found.reconciled, found.block_state, found.patient_id) == (True, "erased", None)
    (line,) = listed(dsn)
    assert (line.block_state, line.patient_id, line.patient_name) == ("erased", None, None)
    assert listed(dsn, "P1") == []


def test_two_sources_with_equal_numbers_are_two_patients(dsn: str) -> None:
    hospital = Hospital()
    kept(dsn, hospital, from_outside(hospital), from_outside(hospital, Outside(rule="old", issuer="ST-JOHN")))
    assert rows(dsn, "SELECT issuer FROM patients ORDER BY issuer") == [("ST-JOHN",), (DISC.issuer,)]


def test_a_number_that_only_studies_from_outside_have_is_not_one_of_our_patients(dsn: str) -> None:
    """`--patient P1`, read off the disc, would else make the disc's patient its patient here, without a word."""
    hospital, log = Hospital(), new_log()
    write(log, [from_outside(hospital)])
    projected(dsn, log, hospital)
    with snapshot(dsn) as cursor:
        assert patients(cursor, TENANT, "P1") == []
        assert [one.issuer for one in patients(cursor, TENANT, "P1", "ST-MARY")] == ["ST-MARY"]
        assert patients(cursor, TENANT, "P1", "NORTH") == []
    write(log, [hospital.received(hospital.uid(), hospital.uid(), {"PatientID": "P1", "PatientName": "Roe^Ann"})])
    projected(dsn, log, hospital)
    with snapshot(dsn) as cursor:
        assert [(one.issuer, one.name) for one in patients(cursor, TENANT, "P1")] == [("", "Roe^Ann")]


def test_ours_are_found_by_family_name_or_date_of_birth_and_others_patients_are_not(dsn: str) -> None:
    hospital = Hospital()
    people = [
        ("A1", "Doe^Jane", "19500101"),
        ("A2", "DOE^John=山田", "19621224"),
        ("A3", "Roe^Ann", "19500101"),
        ("A4", "Doeman^Jim", "19700101"),
        ("A5", "", ""),
    ]
    said = [{"PatientID": a, "PatientName": b, "PatientBirthDate": c} for a, b, c in people]
    ours = [hospital.received(hospital.uid(), hospital.uid(), one) for one in said]
    theirs = from_outside(hospital, PatientID="X1", PatientName="Doe^Jane", PatientBirthDate="19500101")
    kept(dsn, hospital, *ours, theirs)

    def found(family: str, birth_date: str, limit: int = 10) -> list[str]:
        with snapshot(dsn) as cursor:
            return [one.patient_id for one in alike(cursor, TENANT, family, birth_date, limit)]

    assert found("doe", "19500101") == ["A1", "A3", "A2"]
    assert found("doe", "19500101", limit=1) == ["A1"]
    assert found("Doe", "") == ["A2", "A1"]
    assert found("", "19621224") == ["A2"]
    assert found("", "") == []


def test_any_interleaving_makes_the_same_imports(new_catalog: Callable[[], str]) -> None:
    hospital, log = Hospital(seed=8), new_log()
    write(log, night(hospital))
    sums = []
    for seed in (None, 1, 2):
        dsn = new_catalog()
        with catalog_of(dsn, log, hospital) as catalog:
            project(catalog, log, random.Random(seed) if seed else None, size=7 if seed else 500)
        sums.append(checksum_of(dsn))
    assert sums[0].tables["study_imports"].rows == 4
    assert {one.total for one in sums} == {sums[0].total}
