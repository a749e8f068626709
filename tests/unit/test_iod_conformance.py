"""What an instance of its SOP class has to have, and what is said where it has not."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import UID

from consumers.validate import iod, rules
from streams import part10
from streams.elements import Malformed, TooComplex
from streams.events import Finding
from tests import images

PIXELS = np.zeros((1, 8, 6), np.uint16)
_STORAGE = "1.2.840.10008.5.1.4.1.1"
US, SEG, SR, SC, XA, DX = (f"{_STORAGE}.{last}" for last in ("6.1", "66.4", "88.11", "7", "12.1", "1.1"))
DOSE, STRUCTURES, PDF, STATE, NM = (f"{_STORAGE}.{last}" for last in ("481.2", "481.3", "104.1", "11.1", "20"))


def findings(data: bytes) -> list[Finding]:
    return iod.check(part10.read(data)).findings


def said(made: Dataset) -> set[tuple[str, str | None, str | None]]:
    return {(one.rule, one.tag, one.type) for one in findings(images.written(made))}


def without(*keywords: str, **attributes: object) -> Dataset:
    made = images.image(PIXELS, **attributes)
    made.add_new(0x7FE00010, "OW", PIXELS.tobytes())
    for keyword in keywords:
        del made[keyword]
    return made


def code(value: str = "1", **attributes: object) -> Dataset:
    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, "99TEST", "a test"
    for name, attribute in attributes.items():
        setattr(made, name, attribute)
    return made


@pytest.mark.parametrize("encoding", sorted(images.NATIVE))
def test_a_whole_image_lacks_nothing(encoding: str) -> None:
    assert findings(images.native(PIXELS, encoding)) == []


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (without("RescaleSlope"), ("type_1_missing", "0028,1053", "1")),
        (without("PatientSex"), ("type_2_missing", "0010,0040", "2")),
        (without(FrameOfReferenceUID=None), ("type_1_empty", "0020,0052", "1")),
        (without("PatientPosition"), ("type_2c_missing", "0018,5100", "2C")),
        (without("PixelData"), ("type_1c_missing", "7FE0,0010", "1C")),
        (without(BodyPartExamined="KNEE"), ("type_2c_missing", "0020,0060", "2C")),
        (without(PatientIdentityRemoved="YES", DeidentificationMethod="all"), None),
        (without(BodyPartExamined="BRAIN"), None),
        (without(ContrastBolusVolume=1), None),
        (without(ContrastBolusAgentSequence=[code()]), ("type_2_missing", "0018,0010", "2")),
    ],
)
def test_each_type_has_its_finding(made: Dataset, expected: tuple[str, str, str] | None) -> None:
    found = said(made) - {("type_1c_missing", "0012,0064", "1C")}
    assert found == (set() if expected is None else {expected})


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"SeriesDescriptionCodeSequence": [code(), code("2")]}, ("items_too_many", "0008,103F")),
        ({"SeriesDescriptionCodeSequence": [code()]}, None),
        ({"ProcedureCodeSequence": [code(), code("2")]}, None),
        ({"PlanarConfiguration": 0}, ("present_otherwise", "0028,0006")),
        ({"BodyPartExamined": "BRAIN", "Laterality": "L"}, ("present_otherwise", "0020,0060")),
        ({"BodyPartExamined": "KNEE", "Laterality": "L"}, None),
    ],
)
def test_what_has_no_place_is_found(attributes: dict[str, object], expected: tuple[str, str] | None) -> None:
    found = {(rule, tag) for rule, tag, _ in said(without(**attributes))}
    assert found == (set() if expected is None else {expected})


def test_within_an_item_there_is_place_for_one_too() -> None:
    mapping = Dataset()
    mapping.MeasurementUnitsCodeSequence = [code(), code("2")]

    found = {(rule, tag) for rule, tag, _ in said(without(RealWorldValueMappingSequence=[mapping]))}

    assert ("items_too_many", "0040,9096[1]/0040,08EA") in found


def test_a_finding_is_for_a_technologist_and_names_module_and_section() -> None:
    (finding,) = findings(images.written(without("PatientSex")))

    assert finding.text == (
        "Patient's Sex is missing. The module Patient has to have it, if only empty as unknown: "
        "it tells whose images these are."
    )
    assert (finding.section, finding.severity) == ("PS3.3 C.7.1.1", "warning")


@pytest.mark.parametrize("encoding", sorted(images.NATIVE))
def test_items_are_looked_into_and_the_same_is_said_once(encoding: str) -> None:
    items = [code(), code(CodeMeaning=None), code(CodeValue=None), code(CodeMeaning=None)]
    data = images.native(PIXELS, encoding, AnatomicRegionSequence=[code()], ProcedureCodeSequence=items)

    found = {(one.rule, one.tag) for one in findings(data)}

    assert found == {("type_1_empty", "0008,1032[2]/0008,0104"), ("type_1c_empty", "0008,1032[3]/0008,0100")}
    assert any(one.text.endswith("The same in 1 more.") for one in findings(data))


def test_sequences_of_both_kinds_of_length_are_read() -> None:
    made = without(ProcedureCodeSequence=[code(CodeMeaning=None)])
    made["ProcedureCodeSequence"].is_undefined_length = True
    made.ProcedureCodeSequence[0].is_undefined_length_sequence_item = True

    assert said(made) == {("type_1_empty", "0008,1032[1]/0008,0104", "1")}


def test_a_code_has_one_of_three_forms() -> None:
    urn = Dataset()
    urn.URNCodeValue, urn.CodeMeaning = "urn:x", "a test"
    none = Dataset()
    none.CodeMeaning = "a test"

    assert said(without(ProcedureCodeSequence=[urn])) == set()
    assert said(without(ProcedureCodeSequence=[none])) == {("type_1c_missing", "0008,1032[1]/0008,0100", "1C")}


def test_content_is_asked_by_its_value_type() -> None:
    made = images.data_set(SOPClassUID=SR, Modality="SR")
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "TEXT"
    item.ConceptNameCodeSequence = [code()]
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence, made.ContentSequence = [code()], [item]

    found = {one for one in said(made) if (one[1] or "").startswith("0040,A730")}

    assert found == {("type_1c_missing", "0040,A730[1]/0040,A160", "1C")}


def frames(*, shared: Dataset, each: list[Dataset]) -> Dataset:
    made = without(SOPClassUID=SEG, NumberOfFrames=len(each))
    made.SharedFunctionalGroupsSequence, made.PerFrameFunctionalGroupsSequence = [shared], each
    return made


def group(**macros: Dataset) -> Dataset:
    made = Dataset()
    for name, macro in macros.items():
        setattr(made, name, [macro])
    return made


def test_a_functional_group_is_for_all_frames_or_for_each() -> None:
    measures, content = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [1, 1], 1
    content.DimensionIndexValues = [1]
    both = frames(
        shared=group(PixelMeasuresSequence=measures),
        each=[group(FrameContentSequence=content, PixelMeasuresSequence=measures), group()],
    )

    found = {(rule, tag) for rule, tag, _ in said(both) if (tag or "").startswith("5200")}

    assert ("macro_twice", "5200,9230[1]/0028,9110") in found
    assert ("frame_without_macro", "5200,9230[2]/0020,9111") in found
    assert ("type_1_missing", "5200,9230[1]/0020,9113") in found


def test_frames_that_tile_a_whole_need_no_group_each() -> None:
    made = without(SOPClassUID=SEG, NumberOfFrames=1)
    made.SharedFunctionalGroupsSequence = [Dataset()]
    per_frame = ("type_1c_missing", "5200,9230", "1C")

    assert per_frame in said(made)
    made.DimensionOrganizationType = "TILED_FULL"
    assert per_frame not in said(made)
    assert ("type_1_asked_by_others", "5200,9230", "1") in said(made)


def test_what_others_ask_for_is_said_and_is_no_fault() -> None:
    """The frame of reference of a structure set is the maker's choice in PS3.3, and demanded by dciodvfy."""
    made = without("FrameOfReferenceUID", "PositionReferenceIndicator", SOPClassUID=STRUCTURES)
    made.StructureSetROISequence = []
    others = {one for one in findings(images.written(made)) if "by_others" in one.rule}

    assert {(one.rule, one.tag, one.type) for one in others} == {
        ("type_1_asked_by_others", "0020,0052", "1"),
        ("type_2_asked_by_others", "0020,1040", "2"),
        ("type_1_asked_by_others_empty", "3006,0020", "1"),
        ("type_1_asked_by_others", "3006,0039", "1"),
        ("type_1_asked_by_others", "3006,0080", "1"),
    }
    assert {one.severity for one in others} == {"info"}

    made.FrameOfReferenceUID = "1.2"
    assert ("type_2_missing", "0020,1040", "2") in said(made)


@pytest.mark.parametrize(
    ("uid", "strays"),
    [
        (SC, {"SliceLocation": 1}),
        (SC, {"SliceThickness": 5, "ImagePositionPatient": [1, 1, 1]}),
        (SC, {"FrameOfReferenceUID": "1.2"}),
        (f"{SC}.2", {"FrameOfReferenceUID": "1.2"}),
        (XA, {"Sensitivity": 100, "DetectorID": "1", "DetectorDescription": "flat"}),
        (XA, {"TableVerticalIncrement": 0}),
        (DX, {"CollimatorLeftVerticalEdge": 1, "TomoAngle": 1}),
        (SC, {"LongitudinalTemporalOffsetFromEvent": 3.0}),
        (DX, {"ShutterPresentationValue": 0}),
        (DOSE, {"ImageComments": "plan", "PatientOrientation": None}),
    ],
)
def test_attributes_that_stray_are_no_sign_of_their_module(uid: str, strays: dict[str, object]) -> None:
    bare = Dataset()
    bare.SOPClassUID, bare.SOPInstanceUID = uid, "1.2"
    before = said(bare)
    for name, value in strays.items():
        setattr(bare, name, value)

    assert said(bare) - before == set()


def test_a_part_of_a_dose_grid_asks_for_the_whole() -> None:
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID, made.PixelSpacing = DOSE, "1.2", [1, 1]
    asked = {tag for rule, tag, _ in said(made) if rule == "type_1_missing"}

    assert {"0028,0010", "0028,0100", "0020,0032"} <= asked


def test_an_encapsulated_document_has_a_modality() -> None:
    """The type of Modality in SC Equipment is that of secondary captures alone."""
    assert ("type_1_missing", "0008,0060", "1") in said(without("Modality", SOPClassUID=PDF))


def test_the_content_of_an_encapsulated_document_has_times_only_where_it_says_so() -> None:
    content = Dataset()
    content.ValueType, content.TextValue, content.ConceptNameCodeSequence = "TEXT", "a text", [code()]
    found = {tag for _, tag, _ in said(without(SOPClassUID=PDF, ContentSequence=[content]))}

    assert found.isdisjoint({f"0040,A730[1]/0040,{times}" for times in ("A132", "A138", "A13A")})


def test_every_overlay_is_asked() -> None:
    made = without()
    made.add_new(0x60020010, "US", 8)

    assert ("type_1_missing", "6002,0011", "1") in said(made)


def test_of_overlays_others_ask_for_the_first() -> None:
    """As where a state has a layer for the image's overlay in group 6000, and an overlay of its own in 6002."""
    made = without(SOPClassUID=STATE)
    made.add_new(0x60001001, "CS", "LAYER")
    assert not [one for one in said(made) if (one[1] or "").startswith("60")]

    made.add_new(0x60020010, "US", 8)
    overlays = {one for one in said(made) if (one[1] or "").startswith("60")}

    assert ("type_1_missing", "6002,0011", "1") in overlays
    assert {rule for rule, tag, _ in overlays if (tag or "").startswith("6000")} == {"type_1_asked_by_others"}


def test_an_overlay_of_one_frame_is_no_overlay_of_several() -> None:
    made = without(SOPClassUID=NM)
    made.add_new(0x60020010, "US", 8)

    assert {tag for _, tag, _ in said(made)}.isdisjoint({"6000,0015", "6002,0015"})


def test_the_type_of_a_special_module_holds() -> None:
    made = without("Modality", SOPClassUID=SC, ConversionType="WSD", PatientOrientation=None, RescaleType="US")

    assert said(made) == set()


def test_of_an_unknown_sop_class_nothing_is_asked() -> None:
    checked = iod.check(part10.read(images.written(without(SOPClassUID="1.2.3"))))

    assert (checked.iod, checked.findings) == (None, [])
    assert not iod.knows("1.2.3")


def test_what_cannot_be_computed_is_counted() -> None:
    checked = iod.check(part10.read(images.native(PIXELS)))

    assert checked.iod == "ct-image"
    assert checked.not_computed > 0


def test_what_cannot_be_read_inside_a_sequence_is_said_and_costs_one_finding() -> None:
    data = bytearray(images.native(PIXELS, "implicit", ProcedureCodeSequence=[code()]))
    at = data.index(b"\x08\x00\x32\x10") + 8
    data[at : at + 4] = b"\x08\x00\x00\x01"

    assert [(one.rule, one.tag) for one in findings(bytes(data))] == [("nested_not_checked", "0008,1032")]


def test_groups_that_cannot_be_read_lack_nothing_that_is_said() -> None:
    made = frames(shared=group(PixelMeasuresSequence=Dataset()), each=[group(), group()])
    data = bytearray(images.written(made, images.NATIVE["implicit"]))
    at = data.index(b"\x00\x52\x30\x92") + 8
    data[at : at + 2] = b"\x08\x00"

    found = {(one.rule, one.tag) for one in findings(bytes(data)) if (one.tag or "").startswith("5200")}

    assert found == {("nested_not_checked", "5200,9230")}


def test_mutations_raise_nothing() -> None:
    draw = random.Random(4)
    seeds = [
        images.native(PIXELS, encoding, ProcedureCodeSequence=[code(EquivalentCodeSequence=[code()])])
        for encoding in ("explicit", "implicit", "big")
    ] + [images.written(frames(shared=group(PixelMeasuresSequence=code()), each=[group(), group()]))]
    for _ in range(600):
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 4)):
            data[draw.randrange(132, len(data))] = draw.choice((0, 1, 8, 255, draw.randrange(256)))
        try:
            file = part10.read(bytes(data))
        except (Malformed, TooComplex):
            continue
        assert all(one.text for one in iod.check(file).findings)


def test_of_too_many_findings_the_important_are_kept_and_the_rest_is_counted() -> None:
    many = [Finding(rule=str(number), severity="error" if number % 2 else "warning", text="x") for number in range(150)]

    kept = rules.limited(many)

    assert len(kept) == rules.FINDINGS_MAX
    assert sum(one.severity == "error" for one in kept) == 75
    assert (kept[-1].rule, kept[-1].text[:3]) == ("findings_left_out", "51 ")
    assert rules.limited(many[:100]) == tuple(many[:100])


def nested(depth: int) -> bytes:
    """Contents in contents, in implicit VR, whose sequences nobody has walked through before."""
    value = b""
    for _ in range(depth):
        item = struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value
        value = struct.pack("<HHI", 0x0040, 0xA730, len(item)) + item
    return value


@pytest.mark.parametrize("depth", [70, 5_000])
def test_contents_within_contents_end_at_a_depth(depth: int) -> None:
    head = images.data_set(SOPClassUID=SR, SOPInstanceUID="1.2.3")
    data = images.written(head, UID("1.2.840.10008.1.2")) + nested(depth)

    found = [one for one in findings(data) if one.rule == "nested_not_checked"]

    assert len(found) == 1
    assert found[0].tag is not None
    assert found[0].tag.count("0040,A730") == 65


def test_of_a_million_attributes_that_are_not_there_some_are_asked_for_and_the_others_are_spoken_of() -> None:
    content = images.data_set(SOPClassUID=SR, SOPInstanceUID="1.2.3", ContentSequence=[Dataset()] * 20_000)
    checked = iod.check(part10.read(images.written(content)))

    assert ("nested_not_checked", "0040,A730") in {(one.rule, one.tag) for one in checked.findings}
    assert checked.computed + checked.not_computed < 200_000


def test_sentences_begin_with_a_capital_and_have_none_within() -> None:
    (finding,) = (one for one in findings(images.written(without("PixelData"))) if one.tag == "7FE0,0010")

    assert "makes the module Image Pixel need it" in finding.text
    assert "Where its module has it" in rules.RULES["type_1c_empty"].text
