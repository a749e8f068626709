"""What the RIS is told of an import is what the worklist itself would take from a scanner."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pynetdicom.dsutils import decode

from consumers.catalog.imports import Imported
from consumers.catalog.orders import Order, WholeOrder
from producers.worklist.attribute_list import refuse_create, refuse_set
from radstream.import_identity import Identity
from radstream.import_performed import performed_steps
from streams.attribute_lists import in_block
from streams.events import MppsEvent
from streams.protected import Erased
from tests.event_streams import Hospital
from tests.import_events import OURS, decided

CT = "1.2.840.10008.5.1.4.1.1.2"
INSTANCES = [Imported(f"2.25.{series}", CT, f"2.25.{series}.{number}", "CT") for series in (1, 2) for number in (1, 2)]


def said(hospital: Hospital, event: MppsEvent) -> Dataset:
    block = hospital.blocks.read(event.block)
    assert not isinstance(block, Erased)
    return decode(BytesIO(in_block(block).data), False, True)


def test_an_import_is_begun_and_completed_by_the_rules_of_performed_steps() -> None:
    hospital = Hospital()
    decision = decided(hospital, "2.25.9")
    identity = Identity({**OURS, "PatientName": "Dœ^Jané"}, "an-order")
    at = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)
    first, last = performed_steps(decision, identity, None, INSTANCES, hospital.blocks, "RADSTREAM", at)
    assert (first.action, first.status, last.action, last.status) == ("created", "in_progress", "set", "completed")
    assert first.mpps_uid == last.mpps_uid
    assert (first.study_uids, first.modality) == (("2.25.9",), "CT")
    assert [(one.series_uid, one.instances) for one in last.series] == [("2.25.1", 2), ("2.25.2", 2)]
    created, completed = said(hospital, first), said(hospital, last)
    assert refuse_create(created) is None
    assert refuse_set(completed, has_series=False) is None
    assert (created.PatientID, created.IssuerOfPatientID, str(created.PatientName)) == ("P1", "NORTH", "Dœ^Jané")
    (item,) = created.ScheduledStepAttributesSequence
    assert (item.StudyInstanceUID, item.AccessionNumber) == ("2.25.9", "A-900")
    (code,) = created.PerformedProtocolCodeSequence
    assert code.CodeValue in {one.value for one in codes.cid9231.concepts.values()}
    assert (code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning) == tuple(codes.DCM.MediaImport)[:3]
    again = performed_steps(decision, identity, None, INSTANCES, hospital.blocks, "RADSTREAM", at)
    assert [one.meta.event_id for one in again] == [first.meta.event_id, last.meta.event_id]
    assert "Jan" not in str((first, last))


def test_the_step_of_an_ordered_import_is_of_all_that_was_scheduled_and_says_its_codes() -> None:
    hospital = Hospital()
    decision = decided(hospital, "2.25.9", order_id="an-order")
    procedure = {
        "RequestedProcedureDescription": "Import of a CT",
        "RequestedProcedureCodeSequence": ["IMPCT", "L", "Import of a CT"],
    }
    protocol = ["1234567890123456789", "SCT", "Long value"]
    steps = [
        {"step_id": "S1", "attributes": {"ScheduledProcedureStepDescription": "Read the disc"}},
        {"step_id": "S2", "attributes": {"ScheduledProtocolCodeSequence": protocol}},
        {"step_id": "S3", "attributes": None},  # its block was erased
    ]
    order = WholeOrder(an_order_row(procedure), steps, [], [], [])
    at = datetime(2026, 11, 29, 9, 30, tzinfo=UTC)
    created = said(
        hospital,
        performed_steps(decision, Identity(OURS, "an-order"), order, INSTANCES, hospital.blocks, "RADSTREAM", at)[0],
    )
    assert refuse_create(created) is None
    assert [(one.CodeValue, one.CodeMeaning) for one in created.ProcedureCodeSequence] == [("IMPCT", "Import of a CT")]
    items = created.ScheduledStepAttributesSequence
    assert [item.ScheduledProcedureStepID for item in items] == ["S1", "S2", "S3"]
    assert {item.StudyInstanceUID for item in items} == {"2.25.9"}
    assert {item.RequestedProcedureDescription for item in items} == {"Import of a CT"}
    assert items[1].ScheduledProtocolCodeSequence[0].LongCodeValue == protocol[0]


def an_order_row(attributes: dict[str, Any]) -> Order:
    """As the catalog has it."""
    standing = (True, "routine", "2.25.7", "open", "A-900", "NORTH", "A-900", "P1", "NORTH")
    return Order("an-order", *standing, attributes, "hl7 10.0.0.7", datetime(2026, 11, 28, tzinfo=UTC), None)
