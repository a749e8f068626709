"""Modality performed procedure steps over real associations: what is answered is in the log, and final is final."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom.association import Association

from producers.worklist.known_steps import KnownSteps
from streams.clock import SystemClock
from streams.memory_store import MemoryStore
from streams.objects import StoreRefused
from streams.sop_classes import PERFORMED_PROCEDURE_STEP
from streams.step import NewObject, Stored
from tests.event_streams import Hospital, new_log
from tests.worklists import running_worklist

UID, STUDY = "2.25.77", "2.25.30"
NO_LONGER = "Performed Procedure Step Object may no longer be updated"


def attributes(**texts: Any) -> Dataset:
    made = Dataset()
    for keyword, value in texts.items():
        setattr(made, keyword, value)
    return made


def for_studies(*studies: str) -> Sequence:
    return Sequence([attributes(StudyInstanceUID=uid, ScheduledProcedureStepID="S1") for uid in studies])


def begun(**other: Any) -> Dataset:
    said = {
        "SpecificCharacterSet": "ISO_IR 100",
        "PatientName": "Müller^Änne",
        "PatientID": "P1",
        "ScheduledStepAttributesSequence": for_studies(STUDY),
        "PerformedProcedureStepID": "PPS1",
        "PerformedStationAETitle": "CT1",
        "PerformedProcedureStepStartDate": "20261123",
        "PerformedProcedureStepStartTime": "093104",
        "PerformedProcedureStepStatus": "IN PROGRESS",
        "Modality": "CT",
    }
    kept = {name: value for name, value in {**said, **other}.items() if value is not None}
    return attributes(**kept)


def ended(status: str = "COMPLETED", **other: Any) -> Dataset:
    images = Sequence([attributes(ReferencedSOPInstanceUID=f"2.25.9{number}") for number in range(3)])
    series = attributes(SeriesInstanceUID="2.25.8", ProtocolName="Chest", ReferencedImageSequence=images)
    said = {
        "PerformedProcedureStepStatus": status,
        "PerformedProcedureStepEndDate": "20261123",
        "PerformedProcedureStepEndTime": "094500",
        "PerformedSeriesSequence": Sequence([series]),
    }
    return attributes(**{name: value for name, value in {**said, **other}.items() if value is not None})


def create(association: Association, said: Dataset, uid: str | None = UID) -> Dataset:
    status, _ = association.send_n_create(said, PERFORMED_PROCEDURE_STEP, uid)
    return status


def set_(association: Association, said: Dataset, uid: str = UID) -> Dataset:
    status, _ = association.send_n_set(said, PERFORMED_PROCEDURE_STEP, uid)
    return status


def test_a_step_is_begun_told_of_and_completed_and_all_of_it_is_in_the_log_without_a_name() -> None:
    hospital = Hospital()
    with running_worklist(new_log(), hospital) as worklist:
        with worklist.association() as association:
            assert create(association, begun()).Status == 0x0000
            assert [event.action for event in worklist.said()] == ["created"]
            assert set_(association, attributes(PerformedProcedureStepDescription="Chest")).Status == 0x0000
            assert set_(association, ended()).Status == 0x0000
        created, told, completed = worklist.said()
    assert (created.status, created.study_uids, created.modality) == ("in_progress", (STUDY,), "CT")
    assert (told.status, completed.status) == ("in_progress", "completed")
    assert [(one.series_uid, one.instances) for one in completed.series] == [("2.25.8", 3)]
    assert completed.calling_ae == "CT1"
    kept = msgspec.json.decode(str(hospital.blocks.read(created.block)["DataSet"]))  # type: ignore[index]
    assert kept["00100010"]["Value"] == [{"Alphabetic": "Müller^Änne"}]
    text = str(worklist.said())
    assert not [word for word in ("ller", "P1", "PPS1", "Chest") if word in text]


def test_nobody_waits_for_all_of_those_before_him_while_the_log_is_away() -> None:
    with (
        running_worklist(new_log(), Hospital(), commit_timeout_s=1.0) as worklist,
        worklist.association() as association,
    ):
        with worklist.performing.deciding:
            refused = create(association, begun())
        assert (refused.Status, refused.ErrorComment) == (0x0110, "it could not be kept; send it again")
        assert create(association, begun()).Status == 0x0000


@pytest.mark.parametrize("final", ["COMPLETED", "DISCONTINUED"])
def test_a_final_step_may_no_longer_be_updated(final: str) -> None:
    with running_worklist(new_log(), Hospital()) as worklist, worklist.association() as association:
        create(association, begun())
        assert set_(association, ended(final)).Status == 0x0000
        for said in (attributes(PerformedProcedureStepDescription="More"), ended("COMPLETED"), ended("IN PROGRESS")):
            refused = set_(association, said)
            assert (refused.Status, refused.ErrorComment, refused.ErrorID) == (0x0110, NO_LONGER, 0xA710)
        assert len(worklist.said()) == 2


@pytest.mark.parametrize(
    ("said", "status", "why"),
    [
        (begun(PerformedProcedureStepStatus="COMPLETED"), 0x0106, "IN PROGRESS"),
        (begun(Modality=None), 0x0120, "Modality"),
        (begun(PerformedStationAETitle=""), 0x0121, "PerformedStationAETitle"),
        (begun(ScheduledStepAttributesSequence=Sequence()), 0x0121, "ScheduledStepAttributesSequence"),
        (begun(ScheduledStepAttributesSequence=for_studies("")), 0x0121, "Study Instance UID"),
    ],
)
def test_a_step_that_is_not_created_as_it_must_be_is_refused(said: Dataset, status: int, why: str) -> None:
    with running_worklist(new_log(), Hospital()) as worklist, worklist.association() as association:
        refused = create(association, said)
        assert refused.Status == status
        assert why in refused.ErrorComment
        assert worklist.said() == []


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (ended("FINISHED"), 0x0106),
        (ended(PerformedSeriesSequence=None), 0x0120),
        (ended(PerformedProcedureStepEndTime=None), 0x0120),
        (ended(PerformedSeriesSequence=Sequence()), 0x0121),
        (ended(PerformedSeriesSequence=Sequence([attributes(SeriesInstanceUID="2.25.8")])), 0x0120),
    ],
)
def test_a_step_is_not_completed_without_what_was_made(said: Dataset, status: int) -> None:
    with running_worklist(new_log(), Hospital()) as worklist, worklist.association() as association:
        create(association, begun())
        assert set_(association, said).Status == status
        assert len(worklist.said()) == 1
        # Nothing need have been made of what was discontinued.
        assert set_(association, ended("DISCONTINUED", PerformedSeriesSequence=None)).Status == 0x0000


def test_what_was_made_may_be_told_before_the_end() -> None:
    with running_worklist(new_log(), Hospital()) as worklist, worklist.association() as association:
        create(association, begun())
        made = attributes(PerformedSeriesSequence=ended().PerformedSeriesSequence)
        assert set_(association, made).Status == 0x0000
        assert set_(association, ended(PerformedSeriesSequence=None)).Status == 0x0000


def test_the_group_case_the_unscheduled_and_the_appended_are_taken() -> None:
    with running_worklist(new_log(), Hospital()) as worklist, worklist.association() as association:
        group = begun(ScheduledStepAttributesSequence=for_studies("2.25.30", "2.25.31", "2.25.30"))
        assert create(association, group).Status == 0x0000
        item = attributes(StudyInstanceUID="2.25.99", AccessionNumber=None, ScheduledProcedureStepID=None)
        assert create(association, begun(ScheduledStepAttributesSequence=Sequence([item])), "2.25.78").Status == 0x0000
        assert create(association, begun(), "2.25.79").Status == 0x0000
        said = {event.mpps_uid: event.study_uids for event in worklist.said()}
    assert said == {UID: ("2.25.30", "2.25.31"), "2.25.78": ("2.25.99",), "2.25.79": (STUDY,)}


def test_a_second_step_with_one_uid_and_a_set_of_none_are_refused() -> None:
    with running_worklist(new_log(), Hospital()) as worklist, worklist.association() as association:
        assert set_(association, ended()).Status == 0x0112
        create(association, begun())
        assert create(association, begun()).Status == 0x0111
        assert len(worklist.said()) == 1


def test_a_step_of_which_nothing_is_said_is_refused() -> None:
    with running_worklist(new_log(), Hospital()) as worklist, worklist.association() as association:
        status, _ = association.send_n_create(None, PERFORMED_PROCEDURE_STEP, UID)
        assert (status.Status, "PerformedProcedureStepID" in status.ErrorComment) == (0x0120, True)
        assert worklist.said() == []


def test_a_step_without_a_uid_is_given_one() -> None:
    with running_worklist(new_log(), Hospital()) as worklist, worklist.association() as association:
        assert create(association, begun(), None).Status == 0x0000
        (event,) = worklist.said()
        assert event.mpps_uid.startswith("2.25.")
        assert set_(association, ended(), event.mpps_uid).Status == 0x0000


def test_what_n_set_may_not_touch_is_left_out_and_said_to_be() -> None:
    hospital = Hospital()
    with running_worklist(new_log(), hospital) as worklist, worklist.association() as association:
        create(association, begun())
        status = set_(association, attributes(PatientName="Other^Name", PerformedProcedureStepDescription="Chest"))
        assert status.Status == 0x0107
        block = hospital.blocks.read(worklist.said()[-1].block)
        assert "Other" not in str(block)
        assert "Chest" in str(block)


def test_another_process_knows_the_steps_of_the_one_that_was_killed() -> None:
    hospital, log = Hospital(), new_log()
    with running_worklist(log, hospital) as worklist, worklist.association() as association:
        create(association, begun())
        create(association, begun(), "2.25.78")
        set_(association, ended(), "2.25.78")
    with running_worklist(log, hospital) as worklist, worklist.association() as association:
        assert create(association, begun()).Status == 0x0111
        assert set_(association, ended(), "2.25.78").ErrorComment == NO_LONGER
        assert set_(association, ended()).Status == 0x0000
    steps = KnownSteps(log, SystemClock())
    assert [step.status for uid in (UID, "2.25.78") if (step := steps.step(uid))] == ["completed", "completed"]


def test_two_processes_at_once_see_what_the_other_was_told() -> None:
    hospital, log = Hospital(), new_log()
    with (
        running_worklist(log, hospital) as one,
        running_worklist(log, hospital) as other,
        one.association() as first,
        other.association() as second,
    ):
        create(first, begun())
        assert set_(second, ended()).Status == 0x0000
        assert set_(first, ended()).ErrorComment == NO_LONGER


def test_nothing_is_acknowledged_while_the_log_is_away() -> None:
    log = new_log()
    with running_worklist(log, Hospital()) as worklist, worklist.association() as association:
        create(association, begun())
        log.away = True
        assert create(association, begun(), "2.25.78").Status == 0x0110
        refused = set_(association, ended())
        assert (refused.Status, "send it again" in refused.ErrorComment) == (0x0110, True)
        log.away = False
        assert create(association, begun(), "2.25.78").Status == 0x0000
        assert set_(association, ended()).Status == 0x0000


class RefusingStore(MemoryStore):
    def create(self, new: NewObject) -> Stored:
        raise StoreRefused("too large")


def test_an_attribute_list_that_the_store_refuses_is_said_to_be_one() -> None:
    hospital = Hospital(store=RefusingStore())
    with running_worklist(new_log(), hospital) as worklist, worklist.association() as association:
        refused = create(association, begun())
        assert (refused.Status, refused.ErrorComment) == (0x0110, "the store takes no such attribute list")
        assert worklist.said() == []


def test_an_attribute_list_that_nobody_can_read_is_refused_and_the_association_goes_on() -> None:
    with (
        running_worklist(new_log(), Hospital(), data_set_bytes_max=1 << 16) as worklist,
        worklist.association() as association,
    ):
        large = begun()
        large.add_new(0x00091001, "UN", bytes(1 << 20))
        assert create(association, large).Status == 0x0110
        assert create(association, begun(), "2.25.78").Status == 0x0000
        assert len(worklist.said()) == 1
