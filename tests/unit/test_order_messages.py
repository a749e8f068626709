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
        (OMI.replace("P1^^^NORTH&1.2.3&ISO^MR~99887^^^STATE^SS", ""), "no patient ID"),
        (OMI.replace("Doe^Jane^Q^Jr^Dr^^L^A", ""), "patient's name"),
        (OMI.replace("|CT|CTLD", "||CTLD"), "modality"),
        (OMI.replace("A-100", "A" * 17), "accession number"),
        (OMI.replace(STUDY, "1.2.x"), "Study Instance UID"),
        (OMI.replace("CT1~CT2", "CT1~" + "X" * 17), "AE title"),
        (changed(OMI, "SC"), "ORC-1"),
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
        (r"a\S", "aS"),
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


def test_line_feeds_after_segments_are_taken() -> None:
    assert orders(OMI.replace("\r", "\r\n")) == orders(OMI)


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
