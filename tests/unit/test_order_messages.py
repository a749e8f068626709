"""From HL7 to orders: what IHE RAD says each field means, and what is refused."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from itertools import repeat
from typing import Any, cast

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.orders.acknowledgement import acknowledgement
from producers.orders.config import Settings
from producers.orders.framing import START, Frames, Unframed, framed
from producers.orders.groups import GROUPS_MAX, orders_of
from producers.orders.message import BadMessage, read
from producers.orders.order import BadOrder, Order, check
from tests.fuzz.byte_stream import ByteStream
from tests.hl7_messages import OMI, ORM, STUDY, changed

SETTINGS = Settings(http_port=0, port=0)
AT = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


def orders(text: str | bytes, settings: Settings = SETTINGS) -> list[Order]:
    found = orders_of(read(text if isinstance(text, bytes) else text.encode()), settings)
    for order in found:
        check(order)
    return found


def refused(text: str | bytes, settings: Settings = SETTINGS) -> str:
    with pytest.raises((BadMessage, BadOrder)) as error:
        orders(text, settings)
    return str(error.value)


def test_an_omi_is_an_order_with_a_step_for_each_ipc() -> None:
    (order,) = orders(OMI)
    assert (order.action, order.accession, order.issuer, order.procedure_id) == ("placed", "A-100", "NORTH", "RP100")
    assert (order.priority, order.study_uid) == ("stat", STUDY)
    assert order.said == {
        "PatientID": "P1",
        "IssuerOfPatientID": "NORTH",
        "OtherPatientIDs": ["99887"],
        "PatientName": "Doe^Jane^Q^Dr^Jr",
        "PatientBirthDate": "19500101",
        "PatientSex": "F",
        "CurrentPatientLocation": "W3 12 A",
        "ReferringPhysicianName": "Ref&Co^Rita",
        "PregnancyStatus": "3",
        "AdmissionID": "V100",
        "Allergies": "Penicillin",
        "PlacerOrderNumberImagingServiceRequest": "PL1",
        "FillerOrderNumberImagingServiceRequest": "FI1",
        "RequestingPhysician": "Brown^Bob^^Dr",
        "RequestedProcedureCodeSequence": ["CTCHEST", "L", "CT of the chest"],
        "RequestedProcedureDescription": "CT of the chest",
        "ReasonForTheRequestedProcedure": "Follow-up of a nodule",
        "PatientTransportArrangements": "WHEL",
        "MedicalAlerts": "MRSA",
    }
    first, second = order.steps
    assert (first.modality, first.station_aes) == ("CT", ("CT1", "CT2"))
    assert (first.start_date, first.start_time) == ("20261123", "093000")
    assert first.said == {
        "ScheduledProcedureStepID": "SPS1",
        "ScheduledProcedureStepDescription": "Low dose chest",
        "ScheduledProtocolCodeSequence": ["CTLD", "L", "Low dose chest"],
        "ScheduledStationName": "SCANNER1",
        "ScheduledProcedureStepLocation": "ROOM2",
    }
    assert (second.modality, second.said["ScheduledProcedureStepID"]) == ("SR", "SPS2")


def test_an_omi_of_two_requested_procedures_is_two_orders_each_with_its_study() -> None:
    """An ORC may have IPCs of several (HL7 v2.5.1 section 4.5.6): each step belongs to the study of its own."""
    *before, first, second = OMI.split("\r")
    other = second.replace("RP100", "RP101").replace(STUDY, "2.25.7")
    found = orders("\r".join((*before, first, other, second.replace("SPS2", "SPS3"))))
    assert [(one.accession, one.procedure_id, one.study_uid) for one in found] == [
        ("A-100", "RP100", STUDY),
        ("A-100", "RP101", "2.25.7"),
    ]
    assert [[step.said["ScheduledProcedureStepID"] for step in one.steps] for one in found] == [
        ["SPS1", "SPS3"],
        ["SPS2"],
    ]


def test_what_later_ipcs_leave_out_is_what_the_first_says() -> None:
    *before, first, second = OMI.split("\r")
    (order,) = orders("\r".join((*before, first, second.replace(f"A-100^NORTH|RP100|{STUDY}", "||"))))
    assert (order.accession, order.procedure_id, order.study_uid, len(order.steps)) == ("A-100", "RP100", STUDY, 2)
    found = orders("\r".join((*before, first, second.replace(f"A-100^NORTH|RP100|{STUDY}", "|RP101|"))))
    assert [(one.accession, one.issuer, one.study_uid) for one in found] == [
        ("A-100", "NORTH", STUDY),
        ("A-100", "NORTH", None),
    ]


def test_an_ipc_without_accession_number_has_that_of_the_ipc_before_it() -> None:
    *before, _, second = OMI.split("\r")
    said = ("A-100^NORTH|RP100|2.25.5", "A-101^SOUTH|RP101|2.25.6", "|RP102|2.25.7")
    found = orders("\r".join((*before, *(second.replace(f"A-100^NORTH|RP100|{STUDY}", one) for one in said))))
    assert [(one.accession, one.issuer, one.procedure_id) for one in found] == [
        ("A-100", "NORTH", "RP100"),
        ("A-101", "SOUTH", "RP101"),
        ("A-101", "SOUTH", "RP102"),
    ]


def test_a_blank_in_an_ipc_says_nothing() -> None:
    *before, first, second = OMI.split("\r")
    blank = second.replace(f"A-100^NORTH|RP100|{STUDY}", " | | ")
    for ipcs in ((first, blank), (blank, first)):
        (order,) = orders("\r".join((*before, *ipcs)))
        assert (order.accession, order.procedure_id, order.study_uid, len(order.steps)) == ("A-100", "RP100", STUDY, 2)


def test_one_requested_procedure_of_two_studies_is_refused() -> None:
    *before, first, second = OMI.split("\r")
    for says in ("A-100^NORTH|RP100|2.25.7", "||2.25.7"):
        other = second.replace(f"A-100^NORTH|RP100|{STUDY}", says)
        assert "Study Instance UID" in refused("\r".join((*before, first, other)))


def test_an_orm_is_an_order_with_its_study_in_zds_and_its_station_from_the_settings() -> None:
    (order,) = orders(ORM, Settings(http_port=0, port=0, issuer="NORTH", stations={"MR": ("MR1",)}))
    assert (order.accession, order.issuer, order.procedure_id) == ("A-200", "NORTH", "RP200")
    assert (order.priority, order.study_uid) == ("high", STUDY)
    (step,) = order.steps
    assert (step.modality, step.station_aes) == ("MR", ("MR1",))
    assert (step.start_date, step.start_time) == ("20261124", "081500")
    assert step.said["ScheduledProcedureStepID"] == "SPS200"


def test_groups_of_one_procedure_are_one_order_and_others_are_others() -> None:
    group = "\r".join(ORM.split("\r")[3:5])
    second = group.replace("SPS200", "SPS201")
    other = group.replace("A-200", "A-201").replace("RP200", "RP201")
    found = orders("\r".join((*ORM.split("\r")[:3], group, second, other)))
    assert [[step.said["ScheduledProcedureStepID"] for step in order.steps] for order in found] == [
        ["SPS200", "SPS201"],
        ["SPS200"],
    ]
    assert [order.accession for order in found] == ["A-200", "A-201"]


def of_steps(*groups: tuple[str, str]) -> str:
    """An ORM of one procedure: a group with an order control for each step."""
    group = "\r".join(ORM.split("\r")[3:5])
    said = (group.replace("ORC|NW", f"ORC|{control}").replace("SPS200", step) for control, step in groups)
    return "\r".join((*ORM.split("\r")[:3], *said))


@pytest.mark.parametrize(
    ("groups", "action", "left"),
    [
        ((("XO", "S1"), ("CA", "S2")), "changed", ["S1"]),
        ((("CA", "S2"), ("XO", "S1")), "changed", ["S1"]),
        ((("NW", "S1"), ("NW", "S2"), ("CA", "S1")), "placed", ["S2"]),
        ((("CA", "S1"), ("NW", "S2"), ("CA", "S3")), "placed", ["S2"]),
        ((("CA", "S1"), ("CA", "S2")), "cancelled", []),
        ((("XO", "S1"), ("CA", "S1")), "cancelled", []),
        ((("CA", "S1"), ("XO", "S1")), "changed", ["S1"]),
        # It names no step: it is of the whole procedure.
        ((("XO", "S1"), ("CA", "")), "cancelled", []),
        ((("NW", "S1"), ("NW", "S2"), ("CA", "")), "cancelled", []),
        ((("XO", ""), ("CA", "")), "cancelled", []),
        ((("XO", ""), ("CA", "S2")), "changed", ["RP200"]),
        ((("CA", ""), ("XO", "S1")), "changed", ["S1"]),
    ],
)
def test_an_order_is_cancelled_where_all_its_steps_are(
    groups: tuple[tuple[str, str], ...], action: str, left: list[str]
) -> None:
    (order,) = orders(of_steps(*groups))
    assert order.action == action
    assert [step.said["ScheduledProcedureStepID"] for step in order.steps] == left


def test_a_step_that_an_omi_cancels_is_named_by_its_ipc() -> None:
    head, pid, visit, allergy, *group, first, second = OMI.split("\r")
    cancelled = [line.replace("ORC|NW", "ORC|CA") for line in group]
    (order,) = orders("\r".join((head, pid, visit, allergy, *group, first, *cancelled, second)))
    assert order.action == "placed"
    assert [step.said["ScheduledProcedureStepID"] for step in order.steps] == ["SPS1"]


def test_an_omi_that_cancels_without_naming_a_step_cancels_the_procedure() -> None:
    head, pid, visit, allergy, *group, first, second = OMI.split("\r")
    cancelled = [line.replace("ORC|NW", "ORC|CA") for line in group]
    bare = "|".join(first.split("|")[:3])
    (order,) = orders("\r".join((head, pid, visit, allergy, *group, first, second, *cancelled, bare)))
    assert (order.action, order.procedure_id, order.steps) == ("cancelled", "RP100", ())


@pytest.mark.parametrize(
    ("control", "action"),
    [("NW", "placed"), ("XO", "changed"), ("CA", "cancelled"), ("DC", "cancelled"), ("SC|PL1|FI1||CA", "cancelled")],
)
@pytest.mark.parametrize("message", [OMI, ORM])
def test_order_control_says_what_is_asked(message: str, control: str, action: str) -> None:
    (order,) = orders(changed(message, control))
    assert order.action == action
    assert (order.steps == ()) == (action == "cancelled")
    assert order.accession in ("A-100", "A-200")


@pytest.mark.parametrize("control", ["SC", "SC|PL1|FI1||IP", "SC|PL1|FI1||SC", "SR|PL1|FI1||A", "SN", "NA", "OK"])
@pytest.mark.parametrize("message", [OMI, ORM])
def test_what_tells_of_progress_alone_is_taken_and_is_no_order(message: str, control: str) -> None:
    assert orders(changed(message, control)) == []
    # Not even where it says nothing that an order has to.
    assert orders("\r".join((*message.split("\r")[:2], f"ORC|{control}"))) == []


@pytest.mark.parametrize(
    ("groups", "said", "ended"),
    [
        ((("SC", "S1"),), [], ["S1"]),
        ((("SC", ""),), [], []),
        ((("SC", "S1"), ("SC", "S2")), [], ["S1", "S2"]),
        ((("SC", "S1"), ("SC", "")), [], []),
        ((("XO", "S1"),), [("changed", ["S1"])], ["S1"]),
        ((("XO", ""),), [("changed", ["RP200"])], ["RP200"]),
        ((("XX", "S1"), ("XX", "S2")), [("changed", ["S1", "S2"])], ["S1", "S2"]),
        ((("NW", "S1"),), [("placed", ["S1"])], ["S1"]),
        ((("CA", "S1"),), [("cancelled", [])], None),
    ],
)
def test_what_a_ris_says_is_completed_is_a_word_of_its_own_behind_the_order(
    groups: tuple[tuple[str, str], ...], said: list[tuple[str, list[str]]], ended: list[str] | None
) -> None:
    """Table 0038: the status stands in ORC-5, beside an order control that may state the order anew."""
    told = of_steps(*((f"{control}|PL2|FI2||CM", step) for control, step in groups))
    found = orders(told.replace("|CM|PL2|FI2|", "|CM|"))
    steps = [(one.action, [step.said["ScheduledProcedureStepID"] for step in one.steps]) for one in found]
    assert steps == said + ([] if ended is None else [("completed", ended)])
    assert {(one.accession, one.procedure_id) for one in found} == {("A-200", "RP200")}


def test_of_a_message_some_steps_may_be_completed_and_others_not() -> None:
    told = of_steps(("XO|PL2|FI2||CM", "S1"), ("XO|PL2|FI2||SC", "S2"))
    stated, completed = orders(told.replace("|CM|PL2|FI2|", "|CM|").replace("|SC|PL2|FI2|", "|SC|"))
    assert [step.said["ScheduledProcedureStepID"] for step in stated.steps] == ["S1", "S2"]
    assert [step.said for step in completed.steps] == [{"ScheduledProcedureStepID": "S1"}]


@pytest.mark.parametrize(
    ("where", "text", "expected"),
    [
        ("TQ1", "A^ASAP^HL70485", "high"),
        ("TQ1", "R", "routine"),
        ("TQ1", "T", "medium"),
        ("TQ1", "", "routine"),
        ("TQ1", "U", "high"),
    ],
)
def test_priority_is_of_table_0485_or_of_the_settings(where: str, text: str, expected: str) -> None:
    told = OMI.replace("S^STAT^HL70485", text)
    assert orders(told, Settings(http_port=0, port=0, priorities={"U": "high"}))[0].priority == expected


@pytest.mark.parametrize(
    ("segment", "expected"),
    [("OBR", "stat"), ("ORC", "medium")],
)
def test_priority_may_stand_in_obr_27_or_orc_7(segment: str, expected: str) -> None:
    priority = {"stat": "S", "medium": "T"}[expected]
    bare = "\r".join(
        (
            *ORM.split("\r")[:3],
            f"ORC|NW|PL2|FI2||||{'^^^20261124^^T' if segment == 'ORC' else ''}",
            "OBR|1|PL2|FI2|MRHEAD^MR of the head^L||||||||||||||A-200|RP200|SPS200||||MR|||"
            + (f"^^^20261124^^{priority}" if segment == "OBR" else ""),
        )
    )
    assert orders(bare)[0].priority == expected


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (OMI.replace("S^STAT^HL70485", "URGENT!"), "orders.priorities"),
        (OMI.replace("20261123093000+0100", "tomorrow"), "TQ1-7"),
        (OMI.replace("20261123093000+0100", ""), "start date"),
        (OMI.replace("20261123093000+0100", "20261131093000+0100"), "start date"),
        (OMI.replace("P1^^^NORTH&1.2.3&ISO^MR~99887^^^STATE^SS", ""), "no patient ID"),
        (OMI.replace("Doe^Jane^Q^Jr^Dr^^L^A", ""), "patient's name"),
        (OMI.replace("|CT|CTLD", "||CTLD"), "modality"),
        (OMI.replace("A-100", "A" * 17), "accession number"),
        (OMI.replace(STUDY, "1.2.x"), "Study Instance UID"),
        (OMI.replace("CT1~CT2", "CT1~" + "X" * 17), "AE title"),
        (changed(OMI, ""), "ORC-1"),
        (changed(OMI, "ZZ"), "ORC-1"),
        (OMI.split("\rORC")[0], "no ORC"),
        (OMI.replace("\rPID", "\rZID"), "no PID"),
        (OMI.replace("UNICODE UTF-8", "KLINGON"), "MSH-18"),
        (OMI.replace("UNICODE UTF-8", "ASCII~KLINGON"), "MSH-18"),
        (OMI.replace("UNICODE UTF-8", "~KLINGON"), "MSH-18"),
    ],
)
def test_what_cannot_be_taken_is_refused_without_a_word_of_the_patients(told: str, why: str) -> None:
    said = refused(told)
    assert why in said
    assert not any(word in said for word in ("Doe", "Jane", "P1", "tomorrow", "URGENT", "1.2.x", "XXX", "AAA"))


HEAD, PATIENT, VISIT, ORC, OBR, _ = ORM.split("\r")


def of(*segments: str) -> str:
    return "\r".join(segments)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (of(OMI, ORM), "more than one MSH"),
        (of(ORM, "PID|||P9^^^NORTH||Poe^Paula||19700101|F", ORC, OBR), "another patient"),
        (of(HEAD, PATIENT, VISIT, ORC, OBR, OBR.replace("A-200", "A-201").replace("MRHEAD", "MRNECK")), "an ORC"),
        (of(HEAD, PATIENT, VISIT, OBR, ORC), "OBR before"),
        (of(HEAD, PATIENT, VISIT, "TQ1|||||||20261124081500||S", ORC, OBR), "TQ1 before"),
    ],
)
def test_no_order_is_given_to_the_patient_of_another_or_left_out(told: str, why: str) -> None:
    """Two messages in one frame are one patient's and another's; a second OBR is another procedure."""
    assert why in refused(told)


@pytest.mark.parametrize(
    "again", [PATIENT.replace("PID|", "PID|2", 1) + "||", "PID|2||P2^^^NORTH||Roe^Richard^^||19610203|M|||Broad Lane 1"]
)
def test_a_patient_who_is_named_before_each_order_is_one_patient(again: str) -> None:
    """By what is taken of a PID: where they live may be said of one order alone."""
    found = orders(of(HEAD, PATIENT, VISIT, ORC, OBR, again, ORC, OBR.replace("A-200", "A-201")))
    assert [(order.accession, order.said["PatientID"]) for order in found] == [("A-200", "P2"), ("A-201", "P2")]


def test_what_only_cancels_is_not_refused_for_how_a_patient_was_born() -> None:
    cancelled = ORC.replace("NW", "CA")
    born = PATIENT.replace("19610203", "about 1961")
    (order,) = orders(of(HEAD, born, VISIT, cancelled, OBR, born.replace("PID|", "PID|2", 1), cancelled, OBR))
    assert order.action == "cancelled"


@pytest.mark.parametrize(
    "change", [("P2^^^NORTH", "P2^^^SOUTH"), ("Roe^", "Poe^"), ("19610203", "19610204"), ("|M", "|F")]
)
def test_who_differs_in_anything_that_is_taken_is_another_patient(change: tuple[str, str]) -> None:
    assert "another patient" in refused(of(HEAD, PATIENT, VISIT, ORC, OBR, PATIENT.replace(*change), ORC, OBR))


def test_a_study_that_one_order_says_is_not_that_of_another() -> None:
    """ZDS at the end is all orders' (IHE RAD TF-2 section 4.4); between them it is of the ORC before it."""
    other = OBR.replace("A-200|RP200", "A-201|RP201")
    found = orders(of(HEAD, PATIENT, VISIT, ORC, OBR, "ZDS|2.25.8", ORC, other))
    assert [(order.accession, order.study_uid) for order in found] == [("A-200", "2.25.8"), ("A-201", None)]
    found = orders(of(HEAD, PATIENT, VISIT, ORC, OBR, ORC, other, "ZDS|2.25.8"))
    assert [order.study_uid for order in found] == ["2.25.8", "2.25.8"]


def test_progress_that_is_nothing_to_us_is_no_error_however_it_is_said() -> None:
    assert orders(of(HEAD, PATIENT, VISIT, "ORC|SC|PL2|FI2||IP", OBR, OBR)) == []


@pytest.mark.parametrize("number", ["A=200", "A\\S\\200"])
def test_what_identifies_is_taken_as_it_is(number: str) -> None:
    """In a name these separate its parts; another number would be another patient's, or another order's."""
    (order,) = orders(ORM.replace("P2^^^NORTH", f"{number}^^^NORTH").replace("A-200", number))
    expected = number.replace("\\S\\", "^")
    assert (order.accession, order.said["PatientID"]) == (expected, expected)


@pytest.mark.parametrize("number", ["A-200", "P2^^^NORTH"])
def test_a_backslash_that_was_not_escaped_is_no_part_of_another_number(number: str) -> None:
    """Left out, it would make it one that may be another's."""
    assert "backslash" in refused(ORM.replace(number, f"{number[:1]}\\{number[1:]}"))


def test_another_number_of_the_patients_that_dicom_cannot_say_is_left_out() -> None:
    (order,) = orders(ORM.replace("P2^^^NORTH", "P2^^^NORTH~AD\\E\\ROE^^^DOMAIN~77^^^STATE"))
    assert (order.said["PatientID"], order.said["OtherPatientIDs"]) == ("P2", ["77"])
    assert "PatientID" in refused(ORM.replace("P2^^^NORTH", "AD\\E\\ROE^^^DOMAIN"))


@pytest.mark.parametrize(
    ("charset", "codec", "name"),
    [
        ("UNICODE UTF-8", "utf-8", "山田^太郎"),
        ("8859/1", "latin-1", "Müller^Änne"),
        ("8859/5", "iso8859_5", "Иванов^Иван"),
        ("~ISO IR87", "iso2022_jp_2", "山田^太郎"),
        ("", "utf-8", "Müller^Änne"),
        ("", "latin-1", "Müller^Änne"),
        ("ASCII", "utf-8", "Müller^Änne"),
        ("ASCII", "latin-1", "Müller^Änne"),
        ("ASCII~8859/1", "latin-1", "Müller^Änne"),
        ("ASCII~UNICODE UTF-8", "utf-8", "Dvořák^Jiří"),
        ("ASCII~8859/2", "iso8859_2", "Dvořák^Jiří"),
        ("~8859/2", "iso8859_2", "Dvořák^Jiří"),
        ("ASCII~8859/2", "utf-8", "Dvořák^Jiří"),
        ("ASCII~GB 18030-2000", "gb18030", "联通"),
        ("ASCII~JIS X0202", "iso2022_jp", "山田^太郎"),
    ],
)
def test_names_come_in_the_character_set_of_msh_18(charset: str, codec: str, name: str) -> None:
    told = OMI.replace("UNICODE UTF-8", charset).replace("Doe^Jane^Q^Jr^Dr^^L^A", name)
    assert orders(told.encode(codec))[0].said["PatientName"] == name


def test_bytes_of_another_character_set_are_refused() -> None:
    assert "MSH-18" in refused(OMI.replace("Doe", "Müller").encode("latin-1"))


def test_of_several_names_the_legal_one_is_the_patients() -> None:
    """Whoever calls a patient by a maiden name from the list takes another for her (HL7 v2.5.1 table 0200)."""
    told = OMI.replace("Doe^Jane^Q^Jr^Dr^^L^A", "Roe^Jane^^^^^M~Doe^Jane^^^^^L~JD^^^^^^N")
    assert orders(told)[0].said["PatientName"] == "Doe^Jane"


def test_a_name_in_three_writings_is_one_name() -> None:
    name = "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P"
    assert orders(OMI.replace("Doe^Jane^Q^Jr^Dr^^L^A", name))[0].said["PatientName"] == (
        "Yamada^Tarou=山田^太郎=やまだ^たろう"
    )


def test_other_separators_are_read_and_escapes_undone() -> None:
    told = OMI.translate(str.maketrans({"|": "#", "^": "*", "~": "!", "\\": "%", "&": "?"}))
    (order,) = orders(told)
    # The escape stands for the separator of this message.
    assert order.said == {**orders(OMI)[0].said, "ReferringPhysicianName": "Ref?Co^Rita"}
    assert order.steps == orders(OMI)[0].steps


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r"\T\ ", "&"),
        (r"a\X41\b", "aAb"),
        (r"a\.sp999999999\b", "ab"),
        (r"a\H\b\N\c", "abc"),
        (r"a\S", "a S"),
        ("\\", ""),
    ],
)
def test_escapes_cost_nothing_and_leave_nothing(escaped: str, text: str) -> None:
    told = OMI.replace("Follow-up of a nodule", escaped)
    assert orders(told)[0].said.get("ReasonForTheRequestedProcedure", "") == text


@pytest.mark.parametrize(
    ("charset", "escaped", "name"),
    [
        ("UNICODE UTF-8", r"M\XC3BC\ller^\XC384\nne", "Müller^Änne"),
        ("UNICODE UTF-8", r"M\XC3\\XBC\ller", "Müller"),
        ("UNICODE UTF-8", r"Ref\T\\XC3BC\ ", "Ref&ü"),
        ("ASCII", r"M\XC3BC\ller", "Müller"),
        ("ASCII", r"M\XFC\ller", "Müller"),
        ("8859/1", r"M\XFC\ller", "Müller"),
        ("8859/5", r"\XB8D2D0DDDED2\ ", "Иванов"),
        ("GB 18030-2000", r"\XC9BDCCEF\ ", "山田"),
        ("~ISO IR87", r"\X1B24423B3345441B2842\ ", "山田"),
        ("", r"M\XC3BC\ller", "Müller"),
        ("", r"M\XFC\ller", "Müller"),
    ],
)
def test_hexadecimal_escapes_are_bytes_of_the_character_set(charset: str, escaped: str, name: str) -> None:
    told = OMI.replace("UNICODE UTF-8", charset).replace("Doe^Jane^Q^Jr^Dr^^L^A", escaped)
    assert orders(told)[0].said["PatientName"] == name


def test_escaped_bytes_of_another_character_set_are_refused() -> None:
    said = refused(OMI.replace("Doe^Jane", r"M\XFC\ller"))
    assert "MSH-18" in said
    assert "ller" not in said


def test_a_message_has_the_fields_that_another_reader_finds() -> None:
    ours, theirs = read(OMI.encode()), hl7.parse(OMI)
    assert [segment.name for segment in ours.segments] == [str(segment[0]) for segment in theirs]
    for segment, other in zip(ours.segments, theirs, strict=True):
        for number in range(3, len(other)):
            assert segment.raw(number) == str(other(number)), (segment.name, number)


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"MSH",
        b"MSH|",
        b"MSH|^~\\&",
        b"MSH||||||",
        b"MSHAAAAA|x",
        b"MSH|^~\\^|A",
        b"\x00" * 100,
        b"MSH|^~\\&|A\rnot a segment",
        b"MSH|^~\\&|A" + b"\rOBX|" * 3000,
        OMI.replace("Doe^Jane", "^" * 70_000).encode(),
        OMI.replace("P1^^^NORTH", "~" * 5000).encode(),
    ],
)
def test_bytes_that_are_no_message_are_refused(told: bytes) -> None:
    refused(told)


@given(st.binary(max_size=300), st.integers(0, len(OMI) - 1), st.integers(0, 50))
def test_whatever_is_in_a_message_it_is_orders_or_a_reason(noise: bytes, at: int, left_out: int) -> None:
    data, said = OMI.encode(), ""
    try:
        orders(data[:at] + noise + data[at + left_out :])
    except (BadMessage, BadOrder) as error:
        said = str(error)
    assert "Jane" not in said


@pytest.mark.parametrize("version", ["2.3.1", "2.5.1"])
def test_an_acknowledgement_answers_to_whom_asked(version: str) -> None:
    told = acknowledgement(OMI.replace("2.5.1", version).encode(), "AE", AT, "north", "102", "TQ1-7 is not | a date^")
    found = hl7.parse(told.decode())
    assert [str(found.segment("MSH")[number]) for number in (3, 5, 6, 12)] == ["RADSTREAM", "RIS", "NORTH", version]
    assert str(found.segment("MSH")[9]) == "ACK^O23^ACK"
    assert [str(found.segment("MSA")[number]) for number in (1, 2, 3)] == ["AE", "M4711", "TQ1-7 is not   a date "]
    assert str(found.segment("ERR")[3]) == "102^^HL70357"


@pytest.mark.parametrize("head", [b"", b"GET / HTTP", b"MSH|^~\\&|\xff\xfe|\x00||||||\xc3\x28|P", b"MSH|||||||||||||"])
def test_an_acknowledgement_of_rubbish_is_one_all_the_same(head: bytes) -> None:
    told = acknowledgement(head, "AR", AT, "north", "100", "no message")
    assert str(hl7.parse(told.decode("ascii")).segment("MSA")[1]) == "AR"


@pytest.mark.parametrize("message", [OMI, ORM])
@pytest.mark.parametrize(
    ("end", "last"), [("\r\n", ""), ("\r\n", "\r\n"), ("\n", ""), ("\n", "\n"), ("\n", "\r"), ("\n", "\n\r")]
)
def test_segments_may_end_with_line_feeds(message: str, end: str, last: str) -> None:
    assert orders(message.replace("\r", end) + last) == orders(message)


def test_a_line_feed_in_a_field_ends_no_segment_where_carriage_returns_do() -> None:
    (order,) = orders(f"{ORM}\rNTE|1||fasting\nsince\rNTE|2||yesterday")
    assert order.steps == orders(ORM)[0].steps
    assert order.study_uid == STUDY


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_an_acknowledgement_knows_where_msh_ends(end: str) -> None:
    head = OMI.split("\r")[0].partition("||||||")[0]
    told = acknowledgement(end.join((head, *OMI.split("\r")[1:])).encode(), "AA", AT, "north")
    assert [str(hl7.parse(told.decode()).segment("MSH")[number]) for number in (11, 12)] == ["P", "2.5.1"]
    older = end.join((head.replace("2.5.1", "2.3.1"), *OMI.split("\r")[1:]))
    assert str(hl7.parse(acknowledgement(older.encode(), "AA", AT, "north").decode()).segment("MSH")[12]) == "2.3.1"


def test_a_message_of_line_feeds_has_no_more_segments_than_another() -> None:
    with pytest.raises(BadMessage, match="more than 2000 segments"):
        read((ORM.replace("\r", "\n") + "\n" * 5000).encode())


def test_a_thousand_orders_with_a_thousand_allergies_are_read_once_each() -> None:
    """Half a megabyte of them took 40 s: every order read all allergies again."""
    head, pid, visit, *group = ORM.split("\r")
    lines = [head, pid, visit, *["AL1|||" + "^x&" * 160] * 900, *group[:2] * GROUPS_MAX]
    began = time.process_time()
    assert len(orders_of(read("\r".join(lines).encode()), SETTINGS)) == 1
    assert time.process_time() - began < 5.0
    with pytest.raises(BadMessage, match="more than 200 ORC"):
        orders_of(read("\r".join([*lines, *group[:2]]).encode()), SETTINGS)


@pytest.mark.parametrize("noise", ["\r" * 5000, "\rZZZ" + "|" * 60_000])
def test_a_message_of_next_to_nothing_is_not_taken_apart(noise: str) -> None:
    with pytest.raises(BadMessage, match="more than 2000 segments or 50000 fields"):
        read((ORM + noise).encode())


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_message_that_lost_its_end_is_never_one_with_the_next(size: int) -> None:
    """Not even where both come at once."""
    data = START + ORM.encode()[:100] + b"\r" + framed(ORM.encode())
    frames = Frames(cast(Any, ByteStream(data, repeat(size))), 1 << 20, 60.0, 60.0)
    with pytest.raises(Unframed, match="begins inside another"):
        frames.next()
