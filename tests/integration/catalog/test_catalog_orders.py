"""Orders and performed steps as the catalog keeps them: the last word in the log, the first final status."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Literal

import pytest
from msgspec import structs

from consumers.catalog.database import connect, snapshot
from consumers.catalog.orders import orders, performed_for, performed_status, whole
from consumers.catalog.worklist import PAGE, Asked, Scheduled, scheduled
from producers.orders.order import Order, Step
from radstream.order_lines import performed_line
from streams.events import AuditEvent, Event, MppsEvent
from streams.identity import protected_key
from tests.catalogs import catalog_of, checksum_of, project, projected, rows
from tests.event_streams import TENANT, Hospital, new_log, night, write
from tests.order_events import CHEST, again, an_order, commanded, of_step, performed

STATUS = "SELECT status, data_set FROM performed_steps"


def worklist(dsn: str, **asked: object) -> list[Scheduled]:
    with snapshot(dsn) as cursor:
        return list(scheduled(cursor, TENANT, Asked(**asked)))


def kept(dsn: str, hospital: Hospital, *events: Event) -> None:
    log = new_log()
    write(log, events)
    projected(dsn, log, hospital)


def test_an_order_is_on_the_worklist_with_its_names(dsn: str) -> None:
    hospital = Hospital()
    event = commanded(hospital, an_order(priority="stat"))
    kept(dsn, hospital, event)
    (found,) = worklist(dsn)
    assert found.order["PatientName"] == "Doe^Jane"
    assert found.order["AccessionNumber"] == "A-100"
    assert found.step == {"ScheduledProcedureStepDescription": "Chest, low dose", "ScheduledProcedureStepID": "S1"}
    assert (found.modality, found.station_aes) == ("CT", ["CT1", "CT2"])
    assert (found.start_date, found.start_time, found.priority) == (date(2026, 11, 23), "093000", "stat")
    assert found.study_uid == event.study_uid


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"modality": "CT"}, 1),
        ({"modality": "MR"}, 0),
        ({"station_ae": "CT2"}, 1),
        ({"station_ae": "CT"}, 0),
        ({"first": date(2026, 11, 23), "last": date(2026, 11, 23)}, 1),
        ({"first": date(2026, 11, 24)}, 0),
        ({"last": date(2026, 11, 22)}, 0),
        ({"patient_id": "P1", "accession": "A-100"}, 1),
        ({"patient_id": "p1"}, 0),
    ],
)
def test_the_worklist_is_narrowed_down(dsn: str, asked: dict[str, object], count: int) -> None:
    hospital = Hospital()
    kept(dsn, hospital, commanded(hospital, an_order()))
    assert len(worklist(dsn, **asked)) == count


def test_a_long_worklist_is_read_in_pages_each_step_once(dsn: str) -> None:
    hospital = Hospital()
    days = [f"202611{day:02d}" for day in range(1, 4)]
    events = [
        commanded(hospital, an_order(f"A-{number}", steps=(replace(CHEST, start_date=days[number % 3]), CHEST)))
        for number in range(PAGE // 2 + 40)
    ]
    kept(dsn, hospital, *events)
    found = worklist(dsn)
    assert len(found) == len({(one.order_id, one.place) for one in found}) == 2 * len(events) > PAGE
    assert [one.start_date for one in found] == sorted(one.start_date for one in found)


def test_the_last_word_in_the_log_holds_and_a_message_said_twice_is_said_once(dsn: str) -> None:
    hospital = Hospital()
    placed = commanded(hospital, an_order())
    moved = an_order(action="changed", steps=(replace(CHEST, start_date="20261130"),), said={"PatientName": "Roe^Jane"})
    changed = commanded(hospital, moved)
    cancelled = commanded(hospital, an_order(action="cancelled"))
    assert {placed.order_id} == {changed.order_id, cancelled.order_id}
    assert placed.study_uid == changed.study_uid
    log = new_log()
    with catalog_of(dsn, log, hospital) as catalog:
        for event, days, name in (
            (placed, [23], "Doe^Jane"),
            (changed, [30], "Roe^Jane"),
            (again(hospital, placed), [30], "Roe^Jane"),
            (cancelled, [], ""),
            (again(hospital, changed), [], ""),
        ):
            write(log, [event])
            project(catalog, log)
            found = worklist(dsn)
            assert [one.start_date.day for one in found] == days
            assert all(one.order["PatientName"] == name for one in found)


def test_a_change_without_a_study_uid_keeps_the_one_that_was_given(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    with catalog_of(dsn, log, hospital) as catalog:
        for order, uid in (
            (an_order(study_uid="2.25.7"), "2.25.7"),
            (an_order(action="changed", priority="high"), "2.25.7"),
            (an_order(action="changed", study_uid="2.25.8"), "2.25.8"),
            (an_order(action="changed"), "2.25.8"),
        ):
            write(log, [commanded(hospital, order)])
            project(catalog, log)
            assert [one.study_uid for one in worklist(dsn)] == [uid]


def test_a_change_with_fewer_steps_takes_the_others_off_the_list(dsn: str) -> None:
    hospital = Hospital()
    second = replace(CHEST, said={"ScheduledProcedureStepID": "S2"})
    kept(
        dsn,
        hospital,
        commanded(hospital, an_order(steps=(CHEST, second))),
        commanded(hospital, an_order(action="changed", steps=(second,))),
    )
    assert [one.step["ScheduledProcedureStepID"] for one in worklist(dsn)] == ["S2"]


def test_the_first_final_status_is_the_last_word(dsn: str) -> None:
    hospital, uid = Hospital(), "2.25.41"
    placed = commanded(hospital, an_order())
    assert placed.study_uid is not None
    log = new_log()
    with catalog_of(dsn, log, hospital) as catalog:
        for event, status, on_list in (
            (placed, None, True),
            (
                performed(hospital, uid, "created", "in_progress", scheduled=[of_step(placed.study_uid)]),
                "in_progress",
                True,
            ),
            (performed(hospital, uid, "set", "in_progress", t00400254="Chest", t00400280="late"), "in_progress", True),
            (performed(hospital, uid, "set", "completed", t00400254="Chest, twice"), "completed", False),
            (performed(hospital, uid, "set", "discontinued", t00400254="Nothing"), "completed", False),
            (performed(hospital, uid, "created", "in_progress"), "completed", False),
        ):
            write(log, [event])
            project(catalog, log)
            with snapshot(dsn) as cursor:
                assert performed_status(cursor, TENANT, uid) == status
            assert bool(worklist(dsn)) == on_list
    ((_, merged),) = rows(dsn, STATUS)
    assert isinstance(merged, dict)
    assert (merged["00400254"]["Value"], merged["00400280"]["Value"]) == (["Chest, twice"], ["late"])
    assert rows(dsn, "SELECT count(*) FROM mpps_events") == [(5,)]
    with snapshot(dsn) as cursor:
        (order,) = orders(cursor, TENANT)
        assert [one.mpps_uid for one in whole(cursor, TENANT, order).performed] == [uid]
        assert [one.status for one in performed_for(cursor, TENANT, placed.study_uid)] == ["completed"]


def test_a_discontinued_step_stays_on_the_list_and_a_second_try_may_complete_it(dsn: str) -> None:
    hospital = Hospital()
    placed = commanded(hospital, an_order())
    assert placed.study_uid is not None
    tries = [
        [
            performed(hospital, uid, "created", "in_progress", scheduled=[of_step(placed.study_uid)]),
            performed(hospital, uid, "set", final),
        ]
        for uid, final in (("2.25.51", "discontinued"), ("2.25.52", "completed"))
    ]
    log = new_log()
    with catalog_of(dsn, log, hospital) as catalog:
        write(log, [placed, *tries[0]])
        project(catalog, log)
        assert [one.performed for one in worklist(dsn)] == ["discontinued"]
        write(log, tries[1])
        project(catalog, log)
        assert worklist(dsn) == []


def test_one_performed_step_may_be_for_several_orders(dsn: str) -> None:
    hospital = Hospital()
    placed = [commanded(hospital, an_order(f"A-{number}")) for number in range(2)]
    group = [of_step(str(one.study_uid)) for one in placed]
    kept(
        dsn,
        hospital,
        *placed,
        performed(hospital, "2.25.61", "created", "in_progress", scheduled=group),
        performed(hospital, "2.25.61", "set", "completed"),
    )
    assert worklist(dsn) == []


SECOND = replace(CHEST, said={"ScheduledProcedureStepID": "S2"})


def left(dsn: str) -> list[str]:
    """The steps that are still on the worklist, by accession number and ID."""
    found = worklist(dsn)
    return sorted(f"{one.order['AccessionNumber']} {one.step['ScheduledProcedureStepID']}" for one in found)


@pytest.mark.parametrize(
    ("placed", "completed", "on_list"),
    [
        pytest.param((CHEST,), ("S1",), [], id="the step"),
        pytest.param((CHEST, SECOND), ("S1",), ["A-100 S2"], id="one of two"),
        pytest.param((CHEST, SECOND), (), [], id="all"),
        pytest.param((CHEST, SECOND), ("S1", "S2"), [], id="each"),
        pytest.param((CHEST,), ("RP100",), [], id="the only one, by another name"),
        pytest.param((CHEST, SECOND), ("RP100",), ["A-100 S1", "A-100 S2"], id="none of two"),
    ],
)
def test_what_a_ris_says_is_completed_is_off_the_list_and_the_order_stands(
    dsn: str, placed: tuple[Step, ...], completed: tuple[str, ...], on_list: list[str]
) -> None:
    hospital = Hospital()
    steps = tuple(Step({"ScheduledProcedureStepID": one}) for one in completed)
    said = commanded(hospital, Order("completed", "A-100", "A-100", steps=steps))
    kept(dsn, hospital, commanded(hospital, an_order(steps=placed)), said)
    assert left(dsn) == on_list
    with snapshot(dsn) as cursor:
        (order,) = orders(cursor, TENANT, accession="A-100", standing=True)
        shown = whole(cursor, TENANT, order)
    assert order.attributes is not None
    assert [one["action"] for one in shown.commands] == ["placed", "completed"]
    assert [one["performed"] for one in shown.steps].count("completed") == len(placed) - len(on_list)


def test_a_late_completion_of_what_is_no_longer_ordered_ends_nothing_else(dsn: str) -> None:
    hospital = Hospital()
    late, other = (
        commanded(hospital, Order("completed", "A-100", "A-100", steps=(Step({"ScheduledProcedureStepID": named}),)))
        for named in ("S1", "RP100")
    )
    changed = an_order(action="changed", steps=(SECOND,))
    log = new_log()
    with catalog_of(dsn, log, hospital) as catalog:
        write(log, [commanded(hospital, an_order(steps=(CHEST, SECOND))), commanded(hospital, changed), late])
        project(catalog, log)
        assert left(dsn) == ["A-100 S2"]
        write(log, [other])
        project(catalog, log)
        assert left(dsn) == []


def test_a_completion_is_a_word_of_its_time(dsn: str) -> None:
    hospital, log = Hospital(), new_log()
    completed = Order("completed", "A-100", "A-100")
    with catalog_of(dsn, log, hospital) as catalog:
        for order, on_list in (
            (completed, []),
            (an_order(), ["A-100 S1"]),
            (completed, []),
            (an_order(action="changed"), ["A-100 S1"]),  # stated anew, and not said to be completed
            (an_order(action="cancelled"), []),
            (completed, []),  # cancelled all the same
        ):
            write(log, [commanded(hospital, order)])
            project(catalog, log)
            assert left(dsn) == on_list
    with snapshot(dsn) as cursor:
        assert [one.standing for one in orders(cursor, TENANT)] == [False]


@pytest.mark.parametrize(
    ("study_issuer", "order_issuer", "patient", "accession", "matches"),
    [
        ("NORTH", "NORTH", "P1", "A-100", True),
        ("", "NORTH", "P1", "A-100", True),
        ("NORTH", "", "P1", "A-100", True),
        ("SOUTH", "NORTH", "P1", "A-100", False),
        ("NORTH", "NORTH", "P2", "A-100", False),
        ("NORTH", "NORTH", "P1", "A-101", False),
    ],
)
def test_a_study_with_a_uid_of_its_own_is_found_by_accession_number_and_patient(
    dsn: str, study_issuer: str, order_issuer: str, patient: str, accession: str, matches: bool
) -> None:
    hospital = Hospital()
    placed = commanded(hospital, an_order(said={"IssuerOfPatientID": order_issuer}))
    named = {"PatientID": patient, "PatientName": "DOE^JANE", "AccessionNumber": accession}
    image = hospital.received(hospital.uid(), hospital.uid(), {**named, "IssuerOfPatientID": study_issuer})
    kept(dsn, hospital, placed, image)
    with snapshot(dsn) as cursor:
        (order,) = orders(cursor, TENANT)
        found = whole(cursor, TENANT, order).studies
        assert len(orders(cursor, TENANT, study_uid=image.instance.study_uid)) == matches
    by_numbers = {"study_uid": image.instance.study_uid, "by_uid": False, "by_decision": False}
    assert found == ([by_numbers] if matches else [])


def test_a_study_with_the_orders_uid_is_its_study_whatever_else_it_says(dsn: str) -> None:
    hospital = Hospital()
    placed = commanded(hospital, an_order())
    assert placed.study_uid is not None
    kept(dsn, hospital, placed, hospital.received(placed.study_uid, hospital.uid(), {"PatientID": "OTHER"}))
    assert rows(dsn, "SELECT study_uid, by_uid FROM order_studies") == [(placed.study_uid, True)]


def test_what_the_ris_was_told_stands_beside_the_performed_step(dsn: str) -> None:
    hospital = Hospital()
    begun = performed(hospital, "2.25.61", "created", "in_progress", scheduled=[of_step("2.25.7")])
    ended = performed(hospital, "2.25.61", "set", "completed")
    kept(dsn, hospital, begun, ended, told(hospital, begun, "success"), told(hospital, ended, "refused"))
    with snapshot(dsn) as cursor:
        (found,) = performed_for(cursor, TENANT, "2.25.7")
    assert (found.status, found.ris, found.ris_told) == ("completed", "ris", "in_progress")
    assert found.ris_refused == "N-SET: The RIS answered 0x0106."
    assert performed_line(found).endswith(
        ", completed; ris was told: in progress; the RIS did not take N-SET: The RIS answered 0x0106."
    )


def told(hospital: Hospital, event: MppsEvent, outcome: Literal["success", "refused"]) -> AuditEvent:
    """As the forwarder says it."""
    said = "N-CREATE" if event.action == "created" else "N-SET"
    named = {"event": event.meta.event_id, "node": "ris", "said": said, "step_status": event.status}
    audit = hospital.audit("mpps.told", outcome)
    return structs.replace(
        audit,
        meta=structs.replace(audit.meta, subject=event.mpps_uid),
        reason="The RIS took it." if outcome == "success" else "The RIS answered 0x0106.",
        attributes={**named, "status": "0x0000" if outcome == "success" else "0x0106"},
    )


def test_an_erased_order_is_a_tombstone_and_on_no_list(dsn: str) -> None:
    hospital = Hospital()
    event = commanded(hospital, an_order())
    assert event.block is not None
    hospital.store._held.pop(("hot", protected_key(TENANT, event.block.block_id)))
    kept(dsn, hospital, event)
    assert worklist(dsn) == []
    with snapshot(dsn) as cursor:
        (order,) = orders(cursor, TENANT)
    assert (order.block_state, order.attributes, order.accession_number) == ("erased", None, None)


def test_any_interleaving_makes_the_same_orders(new_catalog: Callable[[], str]) -> None:
    hospital, log = Hospital(seed=8), new_log()
    write(log, night(hospital))
    sums = set()
    for seed in (None, 1, 2, 3):
        dsn = new_catalog()
        with catalog_of(dsn, log, hospital) as catalog:
            project(catalog, log, random.Random(seed) if seed else None, size=7 if seed else 500)
        sums.add(checksum_of(dsn).total)
    assert len(sums) == 1


@pytest.mark.parametrize(
    ("damage", "differing"),
    [
        ("DELETE FROM order_commands WHERE action = 'cancelled'", ["current_steps", "order_commands", "orders"]),
        ("UPDATE order_commands SET priority = 'low'", ["order_commands"]),
        ("UPDATE scheduled_steps SET start_time = '000000'", ["scheduled_steps"]),
        ("DELETE FROM mpps_events WHERE status = 'completed'", ["current_steps", "mpps_events", "performed_steps"]),
    ],
)
def test_the_checksum_sees_what_is_wrong_with_orders(dsn: str, damage: str, differing: list[str]) -> None:
    hospital, log = Hospital(seed=8), new_log()
    write(log, night(hospital))
    projected(dsn, log, hospital)
    good = checksum_of(dsn)
    with connect(dsn) as connection:
        connection.execute(damage.encode())
    assert sorted(good.differing(checksum_of(dsn))) == differing
