"""Which scheduled step a performed one is for, where it does not name it in full."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from consumers.catalog.database import snapshot
from consumers.catalog.orders import orders, whole
from producers.orders.order import Order
from streams.events import MppsEvent
from tests.catalogs import catalog_of, project
from tests.event_streams import TENANT, Hospital, new_log, write
from tests.import_events import decided, from_outside
from tests.integration.catalog.test_catalog_orders import SECOND, kept, left, worklist
from tests.order_events import CHEST, an_order, commanded, of_step, performed


def done(hospital: Hospital, scheduled: dict[str, Any], **patient: str) -> list[MppsEvent]:
    uid = hospital.uid()
    return [
        performed(hospital, uid, "created", "in_progress", scheduled=[scheduled], **patient),
        performed(hospital, uid, "set", "completed"),
    ]


@pytest.mark.parametrize(
    ("placed", "on_list"),
    [
        pytest.param([an_order()], [], id="the only step of its study"),
        pytest.param(
            [an_order(steps=(CHEST, SECOND))], ["A-100 S1", "A-100 S2"], id="one of two: nobody can say which"
        ),
        pytest.param(
            [an_order(study_uid="2.25.5"), an_order(procedure_id="RP2", study_uid="2.25.5")],
            ["A-100 S1", "A-100 S1"],
            id="two procedures with one UID",
        ),
        pytest.param(
            [
                an_order(study_uid="2.25.5"),
                an_order(procedure_id="RP2", study_uid="2.25.5"),
                an_order(procedure_id="RP2", action="cancelled"),
            ],
            [],
            id="the other one is cancelled",
        ),
        pytest.param(
            [an_order(steps=(CHEST, SECOND)), an_order(action="changed", steps=(SECOND,))],
            [],
            id="the other one is gone",
        ),
        pytest.param([an_order(), an_order("A-101")], ["A-101 S1"], id="another study's"),
    ],
)
def test_a_performed_step_that_names_no_scheduled_one_is_for_the_only_one_of_its_study(
    dsn: str, placed: list[Order], on_list: list[str]
) -> None:
    """Scheduled Procedure Step ID is of Type 2 in an N-CREATE (PS3.4 table F.7.2-1)."""
    hospital = Hospital()
    commands = [commanded(hospital, one) for one in placed]
    kept(dsn, hospital, *commands, *done(hospital, of_step(str(commands[0].study_uid), "")))
    assert left(dsn) == on_list


@pytest.mark.parametrize(
    ("placed", "then", "on_list"),
    [
        pytest.param(
            [an_order(steps=(CHEST, SECOND))],
            [an_order(action="changed", steps=(SECOND,))],
            ["A-100 S2"],
            id="the other one was dropped afterwards",
        ),
        pytest.param(
            [an_order(study_uid="2.25.5"), an_order(procedure_id="RP2", study_uid="2.25.5")],
            [an_order(procedure_id="RP2", action="cancelled")],
            ["A-100 S1"],
            id="the other order was cancelled afterwards",
        ),
        pytest.param([an_order()], [an_order(action="changed", steps=(SECOND,))], ["A-100 S2"], id="it was replaced"),
        pytest.param([an_order()], [an_order(action="changed", steps=(CHEST, SECOND))], ["A-100 S2"], id="one more"),
        pytest.param([an_order()], [an_order(action="changed", priority="high")], [], id="it was stated anew"),
        pytest.param(
            [an_order(study_uid="2.25.5"), an_order(action="cancelled")],
            [an_order(action="changed", study_uid="2.25.5")],
            ["A-100 S1"],
            id="it was ordered again afterwards",
        ),
        pytest.param([an_order(steps=(CHEST, CHEST))], [], ["A-100 S1", "A-100 S1"], id="two with one ID"),
    ],
)
def test_the_only_one_of_its_study_is_the_one_that_was_ordered_when_it_was_performed(
    dsn: str, placed: list[Order], then: list[Order], on_list: list[str]
) -> None:
    hospital = Hospital()
    before = [commanded(hospital, one) for one in placed]
    made = done(hospital, of_step(str(before[0].study_uid), ""))
    kept(dsn, hospital, *before, *made, *(commanded(hospital, one) for one in then))
    assert left(dsn) == on_list


@pytest.mark.parametrize(
    ("item", "patient", "on_list"),
    [
        pytest.param({}, {"t00100020": "P1"}, [], id="its own UID, the same number, step and patient"),
        pytest.param({}, {"t00100020": "P1", "t00100021": "NORTH"}, [], id="and the same issuer"),
        pytest.param({}, {}, [], id="no word of the patient"),
        pytest.param({}, {"t00100020": "P2"}, ["A-100 S1"], id="another patient"),
        pytest.param({}, {"t00100020": "P1", "t00100021": "SOUTH"}, ["A-100 S1"], id="of another hospital"),
        pytest.param({"step_id": "S2"}, {"t00100020": "P1"}, ["A-100 S1"], id="another step"),
        pytest.param({"step_id": ""}, {"t00100020": "P1"}, ["A-100 S1"], id="no step"),
        pytest.param({"accession": "A-101"}, {"t00100020": "P1"}, ["A-100 S1"], id="another number"),
        pytest.param({"accession": ""}, {"t00100020": "P1"}, ["A-100 S1"], id="no number"),
    ],
)
def test_a_performed_step_with_a_uid_of_its_own_is_found_by_accession_number_and_step(
    dsn: str, item: dict[str, str], patient: dict[str, str], on_list: list[str]
) -> None:
    hospital = Hospital()
    kept(dsn, hospital, commanded(hospital, an_order()), *done(hospital, of_step("2.25.99", **item), **patient))
    assert left(dsn) == on_list
    with snapshot(dsn) as cursor:
        (order,) = orders(cursor, TENANT)
        assert [one.status for one in whole(cursor, TENANT, order).performed] == ([] if on_list else ["completed"])


OF_TWO = ("RP1", "RP2")
BOTH = ["A-100 RP1", "A-100 RP2"]


def procedure(number: str, action: Literal["placed", "cancelled"] = "placed") -> Order:
    return an_order(procedure_id=number, action=action, said={"RequestedProcedureDescription": number})


@pytest.mark.parametrize(
    ("placed", "item", "then", "on_list"),
    [
        pytest.param(OF_TWO, {"00401001": "RP1"}, (), BOTH[1:], id="one of two by its ID"),
        pytest.param(OF_TWO, {"00401001": "RP3"}, (), BOTH, id="neither"),
        pytest.param(OF_TWO, {}, (), BOTH, id="nobody can say which"),
        pytest.param(OF_TWO, {}, (procedure("RP2", "cancelled"),), BOTH[:1], id="the other is cancelled afterwards"),
        pytest.param(("RP1",), {}, (procedure("RP2"),), BOTH[1:], id="the other is placed afterwards"),
        pytest.param((), {}, (procedure("RP1"),), BOTH[:1], id="placed afterwards"),
    ],
)
def test_of_several_procedures_with_one_accession_number_one_performed_step_ends_one_at_most(
    dsn: str, placed: tuple[str, ...], item: dict[str, str], then: tuple[Order, ...], on_list: list[str]
) -> None:
    """Each numbers its steps from one."""
    hospital = Hospital()
    before = [commanded(hospital, procedure(number)) for number in placed]
    made = done(hospital, {**of_step("2.25.99"), **item}, t00100020="P1")
    kept(dsn, hospital, *before, *made, *(commanded(hospital, one) for one in then))
    described = sorted(one.order["RequestedProcedureDescription"] for one in worklist(dsn))
    assert [f"A-100 {one}" for one in described] == on_list


@pytest.mark.parametrize(
    ("orders_of", "issuer", "on_list"),
    [
        pytest.param(("NORTH", "SOUTH"), "NORTH", ["SOUTH"], id="it says whose"),
        pytest.param(("NORTH", "SOUTH"), "", ["NORTH", "SOUTH"], id="it does not say whose"),
        pytest.param(("NORTH",), "SOUTH", ["NORTH"], id="another hospital's"),
        pytest.param(("NORTH",), "", [], id="the only one"),
        pytest.param(("",), "NORTH", [], id="the order does not say whose"),
    ],
)
def test_an_accession_number_of_another_issuer_is_another_number(
    dsn: str, orders_of: tuple[str, ...], issuer: str, on_list: list[str]
) -> None:
    """The performed step has no patient ID: that is of Type 2 as well."""
    hospital = Hospital()
    placed = [commanded(hospital, an_order(issuer=one)) for one in orders_of]
    kept(dsn, hospital, *placed, *done(hospital, of_step("2.25.99", issuer=issuer)))
    assert sorted(one.order["IssuerOfAccessionNumber"] for one in worklist(dsn)) == on_list


def test_a_performed_step_with_the_uid_of_another_order_is_that_ones(dsn: str) -> None:
    hospital = Hospital()
    first, second = (commanded(hospital, an_order(number)) for number in ("A-100", "A-101"))
    kept(dsn, hospital, first, second, *done(hospital, of_step(str(second.study_uid), accession="A-100")))
    assert left(dsn) == ["A-100 S1"]


def test_the_performed_step_of_an_import_ends_no_step_by_its_number(dsn: str) -> None:
    """Whose a study from outside is, a decision says, and another may take it back."""
    hospital, log = Hospital(), new_log()
    placed, image = commanded(hospital, an_order()), from_outside(hospital)
    uid = image.instance.study_uid
    write(log, [placed, image, decided(hospital, uid, order_id=placed.order_id), *done(hospital, of_step(uid))])
    with catalog_of(dsn, log, hospital) as catalog:
        project(catalog, log)
        assert left(dsn) == []
        write(log, [decided(hospital, uid, "unreconciled")])
        project(catalog, log)
        assert left(dsn) == ["A-100 S1"]
