"""Orders and performed procedure steps, for tests of what reads the log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from msgspec import structs

from producers.orders.announcing import Announcer
from producers.orders.order import Action, Order, Step
from streams.clock import Clock, SystemClock
from streams.config import Site
from streams.events import Event, MppsEvent, OrderCommand, PerformedSeries
from tests.event_streams import SITE, TENANT, Hospital
from tests.instance_events import provenance_of

CHEST = Step(
    {"ScheduledProcedureStepID": "S1", "ScheduledProcedureStepDescription": "Chest, low dose"},
    "CT",
    ("CT1", "CT2"),
    "20261123",
    "093000",
)


def an_order(accession: str = "A-100", *, action: Action = "placed", **other: Any) -> Order:
    patient = {"PatientID": "P1", "IssuerOfPatientID": "NORTH", "PatientName": "Doe^Jane", "PatientSex": "F"}
    said = {**patient, "RequestedProcedureDescription": "CT of the chest", **other.pop("said", {})}
    return replace(Order(action, accession, accession, said=said, steps=(CHEST,)), **other)


class HospitalClock(SystemClock):
    def __init__(self, hospital: Hospital) -> None:
        self.now = hospital.now


def commanded(hospital: Hospital, order: Order, said_as: str = "", actor: str = "hl7 10.0.0.7") -> OrderCommand:
    clock: Clock = HospitalClock(hospital)
    announcer = Announcer(Site(tenant=TENANT, site=SITE), hospital.blocks, clock)
    return announcer.event(order, said_as or f"{order.action}/{hospital.random.random()}", actor)


def performed(
    hospital: Hospital,
    uid: str,
    action: Literal["created", "set"],
    status: Literal["in_progress", "completed", "discontinued"],
    *,
    scheduled: list[dict[str, Any]] | None = None,
    **texts: str,
) -> MppsEvent:
    """`scheduled` are items of the Scheduled Step Attributes Sequence, and `texts` other attributes, by tag."""
    model = _model({tag.removeprefix("t"): text for tag, text in texts.items()})
    if scheduled:
        model |= _model({"00400270": scheduled})
    return MppsEvent(
        meta=hospital.meta("worklist", f"{uid}/{action}/{hospital.random.random()}"),
        provenance=provenance_of("worklist", 0),
        mpps_uid=uid,
        action=action,
        status=status,
        calling_ae="CT1",
        block=hospital.blocks.put_part("performed", uid, {"DataSet": json.dumps(model)}),
        study_uids=tuple(item["0020000D"] for item in scheduled or ()),
        modality="CT" if action == "created" else None,
        series=(PerformedSeries(series_uid="2.25.7", instances=120),) if status == "completed" else (),
    )


def of_step(study_uid: str, step_id: str = "S1", accession: str = "A-100", issuer: str = "") -> dict[str, Any]:
    named = {"0020000D": study_uid, "00400009": step_id, "00080050": accession}
    return {**named, "00080051": [{"00400031": issuer}]} if issuer else named


def _model(said: dict[str, Any]) -> dict[str, Any]:
    """By tag, in the DICOM JSON model (PS3.18 annex F): texts, and lists of items."""
    return {
        tag: {"vr": "LO", "Value": [value]}
        if isinstance(value, str)
        else {"vr": "SQ", "Value": [_model(item) for item in value]}
        for tag, value in said.items()
    }


def again(hospital: Hospital, event: OrderCommand) -> OrderCommand:
    """The same message once more, later: the same event id."""
    return structs.replace(event, meta=structs.replace(event.meta, occurred_at=hospital.now()))


def ordered(hospital: Hospital) -> Iterator[Event]:
    """Orders that are changed, cancelled, completed and said twice; steps performed, in every way that ought to change
    nothing."""
    first = commanded(hospital, an_order("A-1", study_uid="2.25.30"))
    yield first
    yield commanded(hospital, an_order("A-1", action="changed", steps=(CHEST, replace(CHEST, modality="XYZ"))))
    yield commanded(hospital, an_order("A-1", action="changed", study_uid="2.25.30"))
    yield again(hospital, first)
    yield (dropped := commanded(hospital, an_order("A-2", priority="stat")))
    yield commanded(hospital, an_order("A-2", action="cancelled"))
    yield again(hospital, dropped)
    yield commanded(hospital, an_order("A-3", action="cancelled"))
    yield performed(hospital, "2.25.31", "created", "in_progress", scheduled=[of_step("2.25.30")])
    yield performed(hospital, "2.25.31", "set", "in_progress", t00400254="Chest")
    yield performed(hospital, "2.25.31", "set", "completed", t00400250="20261123")
    yield performed(hospital, "2.25.31", "set", "discontinued", t00400254="Nothing")
    yield performed(hospital, "2.25.32", "set", "completed")
    yield commanded(hospital, an_order("A-4", steps=(CHEST, replace(CHEST, said={"ScheduledProcedureStepID": "S2"}))))
    yield commanded(hospital, Order("completed", "A-4", "A-4", steps=(Step({"ScheduledProcedureStepID": "S1"}),)))
    yield performed(hospital, "2.25.33", "created", "in_progress", scheduled=[of_step("2.25.39", "S2", "A-4")])
