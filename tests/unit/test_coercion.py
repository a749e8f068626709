"""An imported instance under its identity here: what it said before is in it, and all else as it was."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import Dataset

from streams import part10
from streams.coercion import Uncoercible, coerced
from streams.elements import Malformed, TooComplex
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


def test_no_number_of_theirs_stays_beside_ours_without_an_issuer() -> None:
    """A report names its order once more (PS3.3 table C.17-2), and an archive looks studies up by any of these."""
    request = Dataset()
    request.AccessionNumber, request.RequestedProcedureID = "X-ACC", "X-RP"
    theirs = {
        "OtherPatientIDs": "X-8",
        "AdmissionID": "X-V",
        "PlacerOrderNumberImagingServiceRequest": "X-P",
        "FillerOrderNumberImagingServiceRequest": "X-F",
        "ReferencedRequestSequence": [request],
    }
    after = read(coerced(images.native(PIXELS, **THEIRS, **theirs), OURS, "ELSEWHERE", AT))
    assert not [keyword for keyword in theirs if keyword in after]
    (original,) = after.OriginalAttributesSequence[0].ModifiedAttributesSequence
    assert original.ReferencedRequestSequence[0].AccessionNumber == "X-ACC"
    assert (original.OtherPatientIDs, original.AdmissionID) == ("X-8", "X-V")


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


def behind(data: bytes) -> bytes:
    """With elements behind its pixel data, a text among them."""
    text = "Grün".encode("latin-1").ljust(6)
    said = struct.pack("<HH2sH6s", 0x7FE1, 0x0010, b"LO", 6, text)
    return data + said + struct.pack("<HH2s2xI", 0xFFFC, 0xFFFC, b"OB", 0)


def test_the_pixel_data_stands_where_it_stood_also_where_texts_behind_it_are_written_anew() -> None:
    before = behind(images.native(PIXELS, **THEIRS, SpecificCharacterSet="ISO_IR 100"))
    made = coerced(before, {**OURS, "PatientName": "Фантом^Наш"}, "ELSEWHERE", AT)
    was, now = part10.read(before), part10.read(made)
    assert now.oddities == was.oddities == frozenset()
    assert list(now.elements)[-3:] == [0x7FE00010, 0x7FE10010, 0xFFFCFFFC]
    pixels = was.pixel_data
    assert pixels is not None
    assert now.value(now.elements[0x7FE00010]) == was.value(pixels)
    assert now.value(now.elements[0x7FE10010]).decode("utf-8").strip() == "Grün"


def test_pixels_that_are_encapsulated_are_as_they_were() -> None:
    before = images.compressed(PIXELS, [b"\xff\xd8\1\2", b"\xff\xd8\3"], "1.2.840.10008.1.2.4.70", **THEIRS)
    was, now = part10.read(before), part10.read(coerced(before, OURS, "ELSEWHERE", AT))
    assert was.pixel_data is not None
    assert now.pixel_data is not None
    ends = [one.data[element.at : element.end] for one, element in ((was, was.pixel_data), (now, now.pixel_data))]
    assert ends[0] == ends[1]


def test_of_what_ends_within_its_pixel_data_the_length_is_right_then() -> None:
    """One that is large would have to be in memory for it."""
    before = images.native(PIXELS, **THEIRS)[:-2]
    now = part10.read(coerced(before, OURS, "ELSEWHERE", AT)).pixel_data
    assert now is not None
    assert (now.truncated, now.length) == (False, PIXELS.nbytes - 2)


def mislabelled() -> bytes:
    """In explicit VR, and said to be in implicit VR."""
    return images.native(PIXELS, **THEIRS).replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0")


def half_implicit() -> bytes:
    """In explicit VR, but for the head of its pixel data."""
    head = struct.pack("<HH", 0x7FE0, 0x0010)
    explicit = head + struct.pack("<2s2xI", b"OW", PIXELS.nbytes)
    return images.native(PIXELS, **THEIRS).replace(explicit, head + struct.pack("<I", PIXELS.nbytes))


def repeated() -> bytes:
    before = images.native(PIXELS, **THEIRS)
    pixels = part10.read(before).elements[0x7FE00010]
    return before + before[pixels.at : pixels.end]


@pytest.mark.parametrize("odd", [mislabelled, half_implicit, repeated])
def test_the_pixel_data_is_there_once_and_in_the_encoding_of_all_the_others(odd: Callable[[], bytes]) -> None:
    before = odd()
    was, now = part10.read(before), part10.read(coerced(before, OURS, "ELSEWHERE", AT))
    assert was.oddities
    assert not now.oddities
    assert now.elements[0x7FE00010].length == PIXELS.nbytes
    assert now.value(now.elements[0x7FE00010]) == was.value(was.elements[0x7FE00010])


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
        except (Uncoercible, Malformed, TooComplex):
            continue
        pixels = [None if one.pixel_data is None else one.value(one.pixel_data) for one in (was, now)]
        assert pixels[0] == pixels[1], path.name
        compared += pixels[0] is not None
    assert compared > 150
