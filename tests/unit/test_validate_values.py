"""Values: what PS3.5 and PS3.6 want of them, one fault at a time, in a file that is right otherwise."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from consumers.validate import values
from consumers.validate.rules import RULES, named
from consumers.validate.values import enumerated
from consumers.validate.values.looking import BROKEN_MAX
from consumers.validate.values.walking import ELEMENTS_MAX
from streams import part10
from streams.elements import Malformed
from tests import images

PIXELS = np.zeros((1, 8, 6), np.uint16)


def broken(data: bytes) -> set[tuple[str, int | str | None]]:
    return set(values.check(part10.read(data)))


def of_elements(*elements: tuple[int, str, bytes], syntax: str = images.NATIVE["explicit"]) -> set[tuple[str, Any]]:
    """What is said of a data set of these elements alone: (tag, VR, bytes as they are)."""
    return broken(images.raw_file(b"".join(explicit(*one) for one in elements), syntax))


def explicit(tag: int, vr: str, value: bytes) -> bytes:
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in ("OB", "OW", "SQ", "UC", "UN", "UR", "UT", "UV", "SV", "OF", "OD"):
        return head + struct.pack("<HI", 0, len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def implicit(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def item(content: bytes) -> bytes:
    return implicit(0xFFFEE000, content)


STUDY_DATE, STUDY_TIME, DATE_TIME, AGE, SEX, BODY_PART = (
    0x00080020,
    0x00080030,
    0x0008002A,
    0x00101010,
    0x00100040,
    0x00180015,
)
SLICE, NUMBER, NAME, DESCRIPTION, CHARSET, STATION = (
    0x00180050,
    0x00200013,
    0x00100010,
    0x00081030,
    0x00080005,
    0x00081010,
)
AE, UID, COMMENTS, URL, SPACING = 0x00080054, 0x00080014, 0x00104000, 0x00081190, 0x00280030


@pytest.mark.parametrize("encoding", sorted(images.NATIVE))
def test_a_file_that_is_right_has_nothing_said_of_it_in_any_encoding(encoding: str) -> None:
    right = images.native(
        PIXELS,
        encoding,
        SpecificCharacterSet="ISO_IR 192",
        PatientName="Müller^Jörg=山田^太郎",
        PatientSex="F",
        PatientAge="018M",
        StudyDate="20240229",
        StudyTime="235960.123456",
        AcquisitionDateTime="20240229120000.5+0100",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        PixelSpacing=["0.5", "1e-3"],
        InstanceNumber="-2147483648",
        WindowCenter=["40", "400", "-600"],
        RetrieveURL="https://example.org/a?b=c",
        PatientComments="two\r\nlines\tand a tab",
    )

    assert broken(right) == set()


@pytest.mark.parametrize(
    ("tag", "vr", "raw", "rule"),
    [
        (STUDY_DATE, "DA", b"2024.02.29", "date"),
        (STUDY_DATE, "DA", b"20230229", "date"),
        (STUDY_DATE, "DA", b"20241301", "date"),
        (STUDY_DATE, "DA", b"20240101-20240202 ", "date"),
        (STUDY_TIME, "TM", b"12:30:00", "time"),
        (STUDY_TIME, "TM", b"250000", "time"),
        (STUDY_TIME, "TM", b"120000.1234567 ", "time"),
        (DATE_TIME, "DT", b"20240101 120000 ", "date_time"),
        (DATE_TIME, "DT", b"20240101120000+1560 ", "date_time"),
        (AGE, "AS", b"18Y ", "age"),
        (AGE, "AS", b"018y", "age"),
        (BODY_PART, "CS", b"Knee", "code_string"),
        (BODY_PART, "CS", b"ABCDEFGHIJKLMNOPQR", "too_long"),
        (SLICE, "DS", b"1,5 ", "decimal_string"),
        (SLICE, "DS", b"nan ", "decimal_string"),
        (SLICE, "DS", b"1.23456789012345678 ", "too_long"),
        (NUMBER, "IS", b"1.5 ", "integer_string"),
        (NUMBER, "IS", b"2147483648", "integer_range"),
        (AE, "AE", b"ABCDEFGHIJKLMNOPQR", "too_long"),
        (AE, "AE", b"A\tB ", "ae_title"),
        (UID, "UI", b"1.2.x\0", "uid"),
        (UID, "UI", b"1..2", "uid"),
        (UID, "UI", b"1.02", "uid_leading_zero"),
        (UID, "UI", b"0.0\0", "uid_of_zeros"),
        (UID, "UI", b"1." + b"2" * 63 + b"\0", "too_long"),
        (UID, "UI", b"1.2 ", "padding"),
        (URL, "UR", b"https://a b", "uri"),
        (NAME, "PN", b"A" * 66, "too_long"),
        (NAME, "PN", b"A=B=C=D ", "person_name"),
        (NAME, "PN", b"A^B^C^D^E^F ", "person_name"),
        (DESCRIPTION, "LO", b"A" * 66, "too_long"),
        (DESCRIPTION, "LO", b"one\ntwo ", "control_character"),
        (DESCRIPTION, "LO", b"CHEST\0", "padding"),
        (COMMENTS, "LT", b"bell\x07 ", "control_character"),
        (DESCRIPTION, "LO", "Schädel".encode("latin-1") + b" ", "charset_missing"),
        (DESCRIPTION, "LO", b"\x1b$B;3ED\x1b(B", "charset_escape"),
        (DESCRIPTION, "LO", b"ONE\\TWO ", "vm"),
        (SPACING, "DS", b"1\\2\\3 ", "vm"),
        (SPACING, "DS", b"1 ", "vm"),
        (0x00280010, "US", b"\x01\0\x02\0", "vm"),
        (0x00280010, "US", b"\x01\0\x02", "value_length"),
        (0x00189073, "FD", b"\0" * 6, "value_length"),
        (STUDY_DATE, "LO", b"20240101", "vr_differs"),
        (0x00280010, "UL", b"\x01\0\0\0", "vr_differs"),
        (SEX, "CS", b"W ", "enumerated_value"),
        (0x00280301, "CS", b"MAYBE ", "enumerated_value"),
        (0x00280103, "US", b"\x02\0", "none"),
        (CHARSET, "CS", b"UTF-8 ", "charset_unknown"),
        (CHARSET, "CS", b"ISO_IR 192\\ISO 2022 IR 87", "charset_combination"),
        (0x00080022, "UN", b"2024/1/1", "date"),
        (0x00070011, "LO", b"MAKER ", "private_group"),
        (0x00090010, "SH", b"MAKER ", "private_creator_vr"),
        (0x00090010, "LO", b"", "private_creator_empty"),
        (0x00090001, "LO", b"MAKER ", "private_element"),
        (0x00091001, "LO", b"X ", "private_creator_missing"),
        (0x00080002, "LO", b"X ", "element_unknown"),
    ],
)
def test_each_fault_is_found_where_it_is(tag: int, vr: str, raw: bytes, rule: str) -> None:
    said = of_elements((tag, vr, raw))

    if rule == "none":
        # Whether a value is one of those listed depends on the SOP class here, and there is none.
        assert said == set()
    else:
        assert (rule, tag) in said


@pytest.mark.parametrize(
    ("tag", "vr", "raw"),
    [
        (STUDY_DATE, "DA", b""),
        (0x00181200, "DA", b"20240101\\20240202 "),
        (STUDY_TIME, "TM", b"12"),
        (DATE_TIME, "DT", b"2024"),
        (SLICE, "DS", b" -.5E+10"),
        (NUMBER, "IS", b"+00007 "),
        (BODY_PART, "CS", b" "),
        (UID, "UI", b"2.25.0\0"),
        (AE, "AE", b"AN AE\\ANOTHER "),
        (DESCRIPTION, "LO", b"A" * 64),
        (NAME, "PN", b"A" * 64 + b"=" + b"B" * 63),
        (COMMENTS, "LT", b"a\\b\\c\n"),
        # Overlay data and pixel data have two VRs, and a private element whatever its maker gives it.
        (0x60023000, "OB", b"\0\0"),
        (0x00281101, "SS", b"\0\0" * 3),
        (0x00281101, "US", b"\0\0" * 3),
        (STUDY_DATE, "UN", b"20240101"),
        (0x00080000, "UL", b"\0\0\0\0"),
        (0x00280002, "US", b"\x03\0"),
    ],
)
def test_what_the_standard_allows_is_let_be(tag: int, vr: str, raw: bytes) -> None:
    assert of_elements((tag, vr, raw)) == set()


def test_an_integer_may_be_one_of_those_listed_for_the_class() -> None:
    ct = (0x00080016, "UI", images.CT.encode() + b"\0")

    assert of_elements(ct, (0x00280103, "US", b"\x01\0")) == set()
    assert of_elements(ct, (0x00280103, "US", b"\x02\0")) == {("enumerated_value", 0x00280103)}
    assert of_elements(ct, (0x00280004, "CS", b"RGB ")) == {("enumerated_value", 0x00280004)}


@pytest.mark.parametrize(
    ("charset", "text", "rules"),
    [
        (b"ISO_IR 100", "Schädel".encode("latin-1") + b" ", set()),
        (b"ISO_IR 192", "Schädel".encode(), set()),
        (b"ISO_IR 192", "Schädel".encode("latin-1") + b" ", {"charset_undecodable"}),
        (b"ISO_IR 192", ("ä" * 64).encode(), set()),
        (b"ISO_IR 192", ("ä" * 65).encode(), {"too_long"}),
        (b"ISO_IR 13 ", b"\xd4\xcf\xc0\xde", set()),
        (b"ISO_IR 13 ", b"\x83\x41", {"charset_undecodable"}),
        (b"GB18030 ", "胸部\\头".encode("gb18030") + b" ", {"vm"}),
        # The second byte of this character is that of a backslash.
        (b"GBK ", "乗".encode("gbk"), set()),
        (b"\\ISO 2022 IR 87 ", b"\x1b$B;3ED\x1b(B", set()),
        (b"\\ISO 2022 IR 87 ", b"\x1b$(D;3ED\x1b(B ", {"charset_escape"}),
        (b"\\ISO 2022 IR 149", b"\x1b$)C\xb1\xe8 ", set()),
        (b"\\ISO 2022 IR 149", b"\x1b$)C\xff\xff ", {"charset_undecodable"}),
        (b"ISO 2022 IR 100\\ISO 2022 IR 126", b"Sch\xe4del \x1b-F\xe1\xe2 ", set()),
        (b"ISO_IR 999", "Schädel".encode("latin-1") + b" ", {"charset_unknown"}),
    ],
)
def test_characters_are_those_of_the_character_set(charset: bytes, text: bytes, rules: set[str]) -> None:
    said = of_elements((CHARSET, "CS", charset), (DESCRIPTION, "LO", text))

    # What has two values here because it is written so is another fault.
    assert {rule for rule, _ in said} - ({"vm"} if "vm" not in rules else set()) == rules - {"vm"}


@pytest.mark.filterwarnings("ignore:The value length")
def test_what_is_nested_is_found_with_its_path_once_for_all_items() -> None:
    wrong = Dataset()
    wrong.CodeValue, wrong.CodingSchemeDesignator, wrong.CodeMeaning = "1", "DCM", "A" * 66
    right = Dataset()
    right.CodeValue, right.CodingSchemeDesignator, right.CodeMeaning = "1", "DCM", "right"
    outer = Dataset()
    outer.ConceptNameCodeSequence = Items([right, wrong, wrong])
    for encoding in ("explicit", "implicit", "big"):
        made = images.native(PIXELS, encoding, ContentSequence=Items([outer]))

        assert broken(made) == {("too_long", "0040,A730[1]/0040,A043[2]/0008,0104")}


def test_an_item_has_a_character_set_of_its_own_and_inherits_that_of_what_holds_it() -> None:
    text = explicit(0x00080104, "LO", "Schädel".encode())
    latin = explicit(CHARSET, "CS", b"ISO_IR 100") + explicit(0x00080104, "LO", b"Sch\xe4del ")
    said = of_elements(
        (CHARSET, "CS", b"ISO_IR 192"), (0x00081032, "SQ", item(text) + item(latin)), (0x00081040, "LO", b"Sch\xe4del ")
    )

    assert said == {("charset_undecodable", 0x00081040)}


def test_a_private_block_is_reserved_for_its_own_item_alone() -> None:
    owner, private = explicit(0x00090010, "LO", b"MAKER "), explicit(0x00091001, "DS", b"1.5 ")
    said = of_elements((0x00081032, "SQ", item(owner + private) + item(private)), (0x00090010, "LO", b"MAKER "))

    assert said == {("private_creator_missing", "0008,1032[2]/0009,1001")}


def test_private_values_are_looked_at_too() -> None:
    assert of_elements((0x00090010, "LO", b"MAKER "), (0x00091001, "CS", b"no! ")) == {("code_string", 0x00091001)}


def test_an_implicit_sequence_that_does_not_hold_together_is_said_and_left() -> None:
    inner = implicit(0x00080104, b"A" * 66)
    cut = implicit(0x00081032, item(inner)[:-4] + b"\0\0\0\0" + b"\1\2\3\4\5\6\7\x08")
    data = images.raw_file(implicit(0x00080005, b"ISO_IR 192") + cut, images.NATIVE["implicit"])

    assert ("sequence_broken", 0x00081032) in broken(data)


def test_fragments_that_do_not_end_where_they_should_raise_nothing() -> None:
    head, delimiter = struct.pack("<HH2s2xI", 0x0042, 0x0011, b"OB", 0xFFFFFFFF), bytes.fromhex("feffdde000000000")
    whole = images.raw_file(head + item(b"\0\0") + delimiter)
    file = part10.read(whole)
    short = {tag: structs.replace(one, end=one.end - len(delimiter)) for tag, one in file.elements.items()}

    assert broken(whole) == set()
    assert set(values.check(replace(file, elements=short))) == {("sequence_broken", 0x00420011)}
    # What the file ends within is cut short, unless it is the picture itself.
    with pytest.raises(Malformed) as cut:
        part10.read(whole[: -len(delimiter)])
    assert cut.value.code == "truncated"


def test_there_is_a_ceiling_for_elements_and_for_what_is_said() -> None:
    many = images.raw_file(explicit(0x00081032, "SQ", item(b"") * (ELEMENTS_MAX + 1)))
    wrong = images.raw_file(b"".join(explicit(0x00090000 + tag, "CS", b"no! ") for tag in range(0x1000, 0x2000)))

    assert broken(many) == {("values_unchecked", None)}
    assert len(list(values.check(part10.read(wrong)))) == BROKEN_MAX


def test_there_is_a_ceiling_for_text_that_is_looked_at() -> None:
    texts = explicit(0x0040A160, "UT", b"a" * 65_536) * 130
    data = images.raw_file(explicit(0x0040A730, "SQ", item(texts)))

    assert broken(data) == {("values_unchecked", None)}


def test_a_long_text_is_not_cut_within_a_character() -> None:
    text = ("ä" * 100_000).encode()

    assert of_elements((CHARSET, "CS", b"ISO_IR 192"), (0x0040A160, "UT", text), (0x0040A160, "UT", text)) == set()


def test_no_value_gets_into_a_finding() -> None:
    secret = "DOE^JANE"
    said = of_elements((NAME, "PN", f"{secret}^A^B^C^D".encode()), (STUDY_DATE, "DA", secret.encode()))

    assert {rule for rule, _ in said} == {"person_name", "date"}
    assert not any(secret in f"{finding.text}{finding.tag}" for finding in named(sorted(said, key=str)))


def test_every_rule_that_is_said_has_a_sentence() -> None:
    assert values.RULES.keys() <= RULES.keys()
    for rule in values.RULES.values():
        assert rule.text.endswith(".")


def test_the_table_of_enumerated_values_is_read_as_it_was_made() -> None:
    table = json.loads(Path(enumerated.__file__).with_name("enumerated.json").read_text(encoding="utf-8"))

    assert len(enumerated.everywhere()) == len(table["everywhere"]) > 300
    assert enumerated.everywhere()[SEX] == {"F", "M", "O"}
    assert "LABELMAP" in enumerated.everywhere()[0x00620001]
