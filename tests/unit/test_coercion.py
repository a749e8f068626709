"""An imported instance under its identity here: what it said before is in it, and all else as it was."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from streams import part10
from streams.coercion import Uncoercible, coerced
from tests import images

AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
PIXELS = np.arange(2 * 6 * 4, dtype=np.uint16).reshape(2, 6, 4)
OURS: dict[str, str | list[str]] = {
    "PatientID": "P-1",
    "IssuerOfPatientID": "HERE",
    "PatientName": "Phantom^Ours",
    "PatientBirthDate": "19700101",
    "AccessionNumber": "A-7",
    "IssuerOfAccessionNumber": "RIS",
    "RequestedProcedureID": "RP-7",
}
NESTED = ("IssuerOfAccessionNumber", "RequestedProcedureID")
THEIRS = {
    "PatientID": "X-9",
    "IssuerOfPatientID": "ELSEWHERE",
    "PatientName": "Phantom^Theirs",
    "PatientSex": "O",
    "AccessionNumber": "X-ACC",
    "InstitutionName": "Elsewhere",
}


def read(data: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data))


def texts(data_set: Dataset) -> dict[str, str]:
    return {element.keyword: str(element.value) for element in data_set if element.VR != "SQ"}


def test_our_values_are_in_it_and_theirs_in_the_original_attributes() -> None:
    before = images.native(PIXELS, **THEIRS)
    after = read(coerced(before, OURS, "ELSEWHERE", AT))
    assert texts(after).items() >= {keyword: text for keyword, text in OURS.items() if keyword not in NESTED}.items()
    assert after.IssuerOfAccessionNumberSequence[0].LocalNamespaceEntityID == "RIS"
    assert after.RequestAttributesSequence[0].RequestedProcedureID == "RP-7"
    (item,) = after.OriginalAttributesSequence
    assert texts(item) == {
        "SourceOfPreviousValues": "ELSEWHERE",
        "AttributeModificationDateTime": "20260301123000.000000+0000",
        "ModifyingSystem": "RADSTREAM",
        "ReasonForTheAttributeModification": "COERCE",
    }
    (original,) = item.ModifiedAttributesSequence
    changed = ("PatientID", "IssuerOfPatientID", "PatientName", "AccessionNumber")
    assert texts(original) == {"PatientBirthDate": "", **{keyword: THEIRS[keyword] for keyword in changed}}
    assert (after.PatientSex, after.InstitutionName) == ("O", "Elsewhere"), "what is not known here stays"


def test_all_else_is_as_it_was_byte_for_byte() -> None:
    before = images.native(PIXELS, **THEIRS)
    was, now = part10.read(before), part10.read(coerced(before, OURS, "ELSEWHERE", AT))
    ours = {0x00080050, 0x00080051, 0x00100010, 0x00100020, 0x00100021, 0x00100030, 0x00400275, 0x04000561}
    kept = was.elements.keys() - ours
    assert kept | ours == now.elements.keys()
    assert all(was.value(was.elements[tag]) == now.value(now.elements[tag]) for tag in kept)
    assert now.transfer_syntax_uid == was.transfer_syntax_uid


def test_without_an_order_their_accession_number_is_not_ours() -> None:
    before = images.native(PIXELS, **THEIRS)
    after = read(coerced(before, {"PatientID": "P-1"}, "ELSEWHERE", AT))
    assert (after.AccessionNumber, "IssuerOfPatientID" in after) == ("", False)
    assert str(after.PatientName) == "Phantom^Theirs"
    (original,) = after.OriginalAttributesSequence[0].ModifiedAttributesSequence
    assert texts(original) == {"PatientID": "X-9", "IssuerOfPatientID": "ELSEWHERE", "AccessionNumber": "X-ACC"}


def test_letters_that_its_character_set_does_not_have_make_it_utf_8() -> None:
    before = images.native(PIXELS, **{**THEIRS, "SpecificCharacterSet": "ISO_IR 100", "InstitutionName": "Höhe"})
    after = read(coerced(before, {**OURS, "PatientName": "Фантом^Наш"}, "ELSEWHERE", AT))
    assert after.SpecificCharacterSet == "ISO_IR 192"
    assert (str(after.PatientName), after.InstitutionName) == ("Фантом^Наш", "Höhe")
    latin = read(coerced(before, OURS, "ELSEWHERE", AT))
    assert (latin.SpecificCharacterSet, latin.InstitutionName) == ("ISO_IR 100", "Höhe")


def test_a_second_coercion_is_added_to_the_first() -> None:
    once = coerced(images.native(PIXELS, **THEIRS), OURS, "ELSEWHERE", AT)
    twice = read(coerced(once, {**OURS, "PatientID": "P-2"}, "HERE", AT))
    ids = [one.ModifiedAttributesSequence[0].PatientID for one in twice.OriginalAttributesSequence]
    assert (ids, twice.PatientID) == (["X-9", "P-1"], "P-2")


def test_equal_arguments_give_equal_bytes() -> None:
    before = images.native(PIXELS, **THEIRS)
    assert coerced(before, OURS, "ELSEWHERE", AT) == coerced(before, OURS, "ELSEWHERE", AT)


def test_what_cannot_be_read_cannot_be_coerced() -> None:
    with pytest.raises(Uncoercible):
        coerced(b"\0" * 132, OURS, "ELSEWHERE", AT)


@pytest.mark.corpus
def test_pixels_of_foreign_files_stay(corpus: Path) -> None:
    compared = 0
    for path in sorted((corpus / "files").iterdir()):
        before = path.read_bytes()
        try:
            was, now = part10.read(before), part10.read(coerced(before, OURS, "ELSEWHERE", AT))
        except (Uncoercible, part10.Malformed, part10.TooComplex):
            continue
        pixels = [None if one.pixel_data is None else one.value(one.pixel_data) for one in (was, now)]
        assert pixels[0] == pixels[1], path.name
        compared += pixels[0] is not None
    assert compared > 150
