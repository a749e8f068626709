"""What matches a worklist query, as PS3.4 sections C.2.2.2 and K.6.1.2.2 say."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from consumers.catalog.worklist import Scheduled
from producers.worklist.finding import AGREED
from producers.worklist.item import item_of
from producers.worklist.query import asked, station
from streams.dimse.answer import answer, unsupported
from streams.dimse.matching import BadKey, matches
from tests.worklists import TODAY, keys

pytestmark = pytest.mark.filterwarnings("ignore:Invalid value for VR")  # scanners do ask so


def scheduled(name: str = "Doe^Jane", **other: Any) -> Scheduled:
    order = {"PatientName": name, "PatientID": "P1", "AccessionNumber": "A-100", "RequestedProcedureID": "A-100"}
    step = {
        "ScheduledProcedureStepID": "S1",
        "ScheduledPerformingPhysicianName": "Muster^Max",
        "ScheduledProtocolCodeSequence": ["CT-THX", "L", "CT Thorax", "X" * 20, "99LOCAL", "Long"],
    }
    whole: dict[str, Any] = {
        "order_id": "o",
        "place": 0,
        "modality": "CT",
        "station_aes": ["CT1", "CT2"],
        "start_date": date(2026, 11, 23),
        "start_time": "093000",
        "study_uid": "2.25.1",
        "performed": None,
        "priority": "stat",
        "order": {**order, **other.pop("order", {})},
        "step": step,
    }
    return Scheduled(**{**whole, **other})


def found(asked_for: Dataset, **other: Any) -> bool:
    return matches(asked_for, item_of(scheduled(**other)), AGREED)


@pytest.mark.parametrize(
    ("key", "name", "expected"),
    [
        ("", "Doe^Jane", True),
        ("*", "", True),
        ("Doe^Jane", "Doe^Jane", True),
        ("DOE^JANE", "Doe^Jane", True),
        ("Doe^Jane^", "Doe^Jane", True),
        ("Doe", "Doe^Jane", False),
        ("Doe*", "Doe^Jane", True),
        ("D?e^Jane", "Doe^Jane", True),
        ("D?e", "Doe^Jane", False),
        ("*jane", "Doe^Jane", True),
        ("Muller*", "Müller^Änne", True),
        ("[DR]oe*", "Doe^Jane", False),
        ("[x]*", "[X]^Y", True),
        ("Doe*", "", False),
        ("山田*", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("Yamada^Tarou", "Yamada^Tarou=山田^太郎", True),
        ("か*", "が^x", False),
    ],
)
def test_names_match_without_case_and_accents_and_in_any_writing(key: str, name: str, expected: bool) -> None:
    assert found(keys(PatientName=key), order={"PatientName": name}) == expected


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ({"Modality": "CT"}, True),
        ({"Modality": "ct"}, False),
        ({"Modality": "C*"}, True),
        ({"ScheduledStationAETitle": "CT2"}, True),
        ({"ScheduledStationAETitle": "CT3"}, False),
        ({"ScheduledProcedureStepStartDate": "20261123"}, True),
        ({"ScheduledProcedureStepStartDate": "20261124"}, False),
        ({"ScheduledProcedureStepStartDate": "20261101-20261123"}, True),
        ({"ScheduledProcedureStepStartDate": "-20261122"}, False),
        ({"ScheduledProcedureStepStartDate": "20261123-"}, True),
        ({"ScheduledProcedureStepStartTime": "0930"}, True),
        ({"ScheduledProcedureStepStartTime": "093001"}, False),
        ({"ScheduledProcedureStepStartTime": "08-09"}, True),
        ({"ScheduledProcedureStepStartTime": "-0929"}, False),
        ({"ScheduledProcedureStepStartTime": "090000.000-100000.000"}, True),
        ({"ScheduledPerformingPhysicianName": "muster*"}, True),
        ({"ScheduledProcedureStepID": "S2"}, False),
        # Both are ranges: from a moment to a moment, not the same hours of each day.
        (
            {
                "ScheduledProcedureStepStartDate": "20261122-20261124",
                "ScheduledProcedureStepStartTime": "1000-0800",
            },
            True,
        ),
        (
            {
                "ScheduledProcedureStepStartDate": "20261123-20261124",
                "ScheduledProcedureStepStartTime": "1000-0800",
            },
            False,
        ),
    ],
)
def test_a_step_matches_by_every_required_key(step: dict[str, str], expected: bool) -> None:
    assert found(keys(step)) == expected


@pytest.mark.parametrize(
    ("top", "expected"),
    [
        ({"PatientID": "P1"}, True),
        ({"PatientID": "p1"}, False),
        ({"PatientID": "P*"}, True),
        ({"AccessionNumber": "A-1??"}, True),
        ({"AccessionNumber": "A-100 "}, True),
        ({"StudyInstanceUID": ["2.25.9", "2.25.1"]}, True),
        ({"StudyInstanceUID": "2.25.*"}, False),
        ({"RequestedProcedurePriority": "STAT"}, True),
        # Not supported: no matter.
        ({"InstitutionName": "Elsewhere"}, True),
    ],
)
def test_the_other_keys_match_as_they_are(top: dict[str, Any], expected: bool) -> None:
    assert found(keys(**top)) == expected


@pytest.mark.parametrize("items", [[], [Dataset()]])
def test_a_sequence_without_keys_asks_for_all_and_gets_all(items: list[Dataset]) -> None:
    asked_for = keys()
    asked_for.ScheduledProcedureStepSequence = Sequence(items)
    item = item_of(scheduled())
    assert matches(asked_for, item)
    (step,) = answer(asked_for, item).ScheduledProcedureStepSequence
    assert (step.Modality, step.ScheduledProcedureStepStatus) == ("CT", "SCHEDULED")


def of_codes(**said: str) -> Dataset:
    asked_for, code = keys(), Dataset()
    for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning"):
        setattr(code, keyword, said.get(keyword, ""))
    asked_for.RequestedProcedureCodeSequence = Sequence([code])
    return asked_for


@pytest.mark.parametrize("meaning", ["", "*"])
def test_return_keys_in_a_sequence_ask_for_nothing_that_has_to_be_there(meaning: str) -> None:
    """Consoles ask for codes and references so; steps without a code are on their list all the same."""
    asked_for, reference = of_codes(CodeMeaning=meaning), Dataset()
    reference.ReferencedSOPClassUID = reference.ReferencedSOPInstanceUID = ""
    asked_for.ReferencedStudySequence = Sequence([reference])
    item = item_of(scheduled())
    assert matches(asked_for, item, AGREED)
    returned = answer(asked_for, item)
    assert not returned.RequestedProcedureCodeSequence
    assert not returned.ReferencedStudySequence


def test_return_keys_may_be_as_deep_as_the_worklist_has_them() -> None:
    """PS3.4 table K.6-1: the context of a scheduled protocol, its modifiers, their units."""
    asked_for = Dataset()
    asked_for.CodeValue = ""
    for keyword in (
        *("MeasurementUnitsCodeSequence", "ContentItemModifierSequence", "ProtocolContextSequence"),
        *("ScheduledProtocolCodeSequence", "ScheduledProcedureStepSequence"),
    ):
        outer = Dataset()
        setattr(outer, keyword, Sequence([asked_for]))
        asked_for = outer
    item = item_of(scheduled())
    item.ScheduledProcedureStepSequence[0].ScheduledProtocolCodeSequence = Sequence()
    assert matches(asked_for, item, AGREED)


def test_a_key_in_a_sequence_that_says_something_matches_no_item_where_there_is_none() -> None:
    assert not found(of_codes(CodeValue="CT-THX"))
    assert found(of_codes(CodeValue="CT-THX"), order={"RequestedProcedureCodeSequence": ["CT-THX", "L", "CT Thorax"]})


@pytest.mark.parametrize(
    "step",
    [
        {"ScheduledProcedureStepStartDate": "2026112"},
        {"ScheduledProcedureStepStartDate": "-"},
        {"ScheduledProcedureStepStartDate": "20261301"},
        {"ScheduledProcedureStepStartTime": "9"},
        {"ScheduledProcedureStepID": ["S1", "S2"]},
    ],
)
def test_a_key_that_means_nothing_is_refused_by_name_and_not_by_value(step: dict[str, Any]) -> None:
    def ask() -> None:
        asked(keys(step), TODAY, 30)
        found(keys(step))

    with pytest.raises(BadKey) as error:
        ask()
    assert not any(str(value) in str(error.value) for value in step.values() if value != "-")


def test_no_key_takes_long() -> None:
    began = time.thread_time()
    for key in ("*a" * 30 + "b", "?" * 60 + "b", "*" * 64):
        found(keys(PatientName=key), order={"PatientName": "a" * 64})
    assert time.thread_time() - began < 5


def test_nested_sequences_end_somewhere() -> None:
    asked_for = keys()
    for _ in range(50):
        outer = Dataset()
        outer.ScheduledProcedureStepSequence = Sequence([asked_for])
        asked_for = outer
    item = item_of(scheduled())
    for _ in range(6):
        held = item_of(scheduled())
        held.ScheduledProcedureStepSequence = Sequence([item])
        item = held
    with pytest.raises(BadKey):
        matches(asked_for, item)


def test_what_was_asked_for_is_returned_and_what_is_not_supported_is_said() -> None:
    item = item_of(scheduled())
    asked_for = keys({"ScheduledProtocolCodeSequence": Sequence([]), "ScheduledStationName": None})
    returned = answer(asked_for, item)
    assert (returned.PatientName, returned.StudyInstanceUID) == ("Doe^Jane", "2.25.1")
    (step,) = returned.ScheduledProcedureStepSequence
    assert list(step.ScheduledStationAETitle) == ["CT1", "CT2"]
    assert step["ScheduledStationName"].is_empty
    short, long = step.ScheduledProtocolCodeSequence
    assert (short.CodeValue, long.LongCodeValue, "CodeValue" in long) == ("CT-THX", "X" * 20, False)
    assert "PatientSex" not in returned
    assert not unsupported(asked_for, item)
    asked_for.InstitutionName = None
    assert unsupported(asked_for, item)
    assert "InstitutionName" not in answer(asked_for, item)


@pytest.mark.parametrize(
    ("name", "asked_in", "answered_in"),
    [
        ("Doe^Jane", None, None),
        ("Doe^Jane", "ISO_IR 100", None),
        ("Müller^Änne", "ISO_IR 100", "ISO_IR 100"),
        ("Müller^Änne", None, "ISO_IR 192"),
        ("Müller^Änne", "ISO_IR 144", "ISO_IR 192"),
        ("Müller^Änne", "ISO_IR 999", "ISO_IR 192"),
        ("Yamada=山田", "ISO_IR 100", "ISO_IR 192"),
        ("Иванов^Иван", "ISO_IR 144", "ISO_IR 144"),
    ],
)
def test_names_come_in_the_scanners_own_character_set_where_it_can_say_them(
    name: str, asked_in: str | None, answered_in: str | None
) -> None:
    asked_for = keys()
    if asked_in:
        asked_for.SpecificCharacterSet = asked_in
    returned = answer(asked_for, item_of(scheduled(order={"PatientName": name})))
    assert returned.get("SpecificCharacterSet") == answered_in


def test_the_database_is_asked_for_what_it_can_narrow_down() -> None:
    step = {"ScheduledProcedureStepStartDate": "20261123-20261124", "Modality": "CT", "ScheduledStationAETitle": "C*"}
    wanted = asked(keys(step, PatientID="P1", AccessionNumber="A*"), TODAY, 30)
    assert (wanted.first, wanted.last) == (date(2026, 11, 23), date(2026, 11, 24))
    assert (wanted.modality, wanted.station_ae, wanted.patient_id, wanted.accession) == ("CT", None, "P1", None)
    everything = asked(Dataset(), TODAY, 30)
    assert (everything.first, everything.modality) == (date(2026, 10, 24), None)


@pytest.mark.parametrize(
    ("asked_for", "expected"),
    [("MR1", "MR1"), (" MR1 ", "MR1"), ("", "CT1"), ("M*", "CT1"), ("M\x01", "CT1"), (["MR1", "MR2"], "CT1")],
)
def test_the_station_that_is_asked_for_is_a_title_or_the_one_of_who_asks(asked_for: Any, expected: str) -> None:
    assert station(keys({"ScheduledStationAETitle": asked_for}), "CT1") == expected
    assert station(Dataset(), "CT1") == "CT1"
