"""What the RIS is told of an import is what the worklist itself would take from a scanner."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode

from consumers.catalog.imports import Imported
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
    first, last = performed_steps(decision, identity, INSTANCES, hospital.blocks, "RADSTREAM", at)
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
    again = performed_steps(decision, identity, INSTANCES, hospital.blocks, "RADSTREAM", at)
    assert [one.meta.event_id for one in again] == [first.meta.event_id, last.meta.event_id]
    assert "Jan" not in str((first, last))
