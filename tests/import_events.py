"""Studies from outside and what people decide on them, for tests of what reads the log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import structs

from streams.events import Event, ImportDecision, InstanceReceived, Outside
from tests.event_streams import Hospital
from tests.instance_events import provenance_of
from tests.order_events import an_order, commanded

# The instances that a search finds which names no study: of studies from outside those that are reconciled
# (docs/decisions/0073).
LISTED = """served_instances v WHERE NOT EXISTS (
    SELECT FROM study_imports m WHERE m.study_uid = v.study_uid AND m.outside IS NOT NULL AND NOT m.reconciled
)"""
DISC = Outside(rule="compact-discs", issuer="ST-MARY")
OURS = {
    "PatientID": "P1",
    "IssuerOfPatientID": "NORTH",
    "PatientName": "Doe^Jane",
    "PatientSex": "F",
    "AccessionNumber": "A-900",
    "RequestedProcedureID": "A-900",
}


def from_outside(hospital: Hospital, outside: Outside = DISC, **attributes: str) -> InstanceReceived:
    """One image of a new study, of another hospital's patient P1."""
    said = {"PatientID": "P1", "PatientName": "DOE^J", "PatientSex": "F", "AccessionNumber": "A-100", **attributes}
    return hospital.received(hospital.uid(), hospital.uid(), said, outside=outside)


def decided(
    hospital: Hospital,
    study_uid: str,
    action: Literal["reconciled", "unreconciled"] = "reconciled",
    order_id: str | None = None,
    **identity: str,
) -> ImportDecision:
    subject = f"{study_uid}/{hospital.random.getrandbits(64):x}"
    said: dict[str, str | list[str]] = {**OURS, **identity}
    return ImportDecision(
        meta=hospital.meta("import", subject),
        provenance=provenance_of("import", 0),
        study_uid=study_uid,
        action=action,
        actor="film.library",
        why=hospital.blocks.put_note(subject, "brought by Mrs Doe"),
        order_id=order_id,
        identity=hospital.blocks.put_part("import", subject, said) if action == "reconciled" else None,
    )


def imported(hospital: Hospital) -> Iterator[Event]:
    """For an order, for a patient alone, mended and taken back, and open; what was said again changes nothing."""
    order = commanded(hospital, an_order("A-900"))
    yield order
    images = [from_outside(hospital, PatientID=f"X{number}") for number in range(4)]
    for image in images:
        yield image
        yield hospital.validated(image)
        yield hospital.derived(image)
        yield hospital.revision([image])
    studies = [image.instance.study_uid for image in images]
    first = decided(hospital, studies[0], order_id=order.order_id)
    yield first
    yield decided(hospital, studies[1], AccessionNumber="", RequestedProcedureID="", PatientID="P77")
    wrong, right = decided(hospital, studies[2], PatientID="P2"), decided(hospital, studies[2], PatientID="P3")
    yield from (wrong, right, decided(hospital, studies[2], "unreconciled"))
    yield structs.replace(first, meta=structs.replace(first.meta, occurred_at=hospital.now()))
    yield wrong
