"""The DICOM JSON model of a data set: held to pydicom's, and to the text of PS3.18 annex F where they differ."""

from __future__ import annotations

import base64
import io
import json
import warnings
from pathlib import Path
from typing import Any

import msgspec
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from gateway.dicomweb.json_model import Alike, Modelled
from streams import part10
from streams.elements import Malformed, TooComplex

ENCODINGS = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
# Our own choice: every text is UTF-8 here, and group lengths are none of a data set's content.
OURS = ("00080005",)
_LARGE_BYTES = 600_000


def file_of(dataset: Dataset, syntax: UID = ExplicitVRLittleEndian) -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.1"
    out = io.BytesIO()
    dataset.file_meta = meta
    pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def model_of(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(Modelled(part10.read(data)).model()))
    return found


def sample() -> Dataset:
    one = Dataset()
    one.SpecificCharacterSet = "ISO_IR 192"
    one.ImageType = ["ORIGINAL", "PRIMARY", ""]
    one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.1"
    one.PatientName = "Müller^Änne=山田^太郎=やまだ^たろう"
    one.PatientID = ""
    one.SliceThickness = "2.50"
    one.InstanceNumber = 7
    one.ImagePositionPatient = ["-1.5e2", "0", "12"]
    one.FrameIncrementPointer = 0x00181063
    one.Rows, one.Columns, one.PixelRepresentation = 2, 3, 1
    one.SmallestImagePixelValue = -4
    one.add_new(0x00189073, "FD", 0.125)
    one.add_new(0x00720026, "AT", [0x00100010, 0x00100020])
    one.add_new(0x00091001, "OB", b"\1\2\3\4")
    one.add_new(0x00090010, "LO", "HERE")
    one.add_new(0x00281201, "OW", b"\1\0\2\0")
    code = Dataset()
    code.CodeValue, code.CodeMeaning = "A", "Größe"
    outer = Dataset()
    outer.ConceptNameCodeSequence = Sequence([code])
    one.ContentSequence = Sequence([outer, Dataset()])
    return one


@pytest.mark.parametrize("syntax", ENCODINGS)
def test_every_kind_of_value_in_every_encoding(syntax: UID) -> None:
    model = model_of(file_of(sample(), syntax))
    assert model["00100010"] == {
        "vr": "PN",
        "Value": [{"Alphabetic": "Müller^Änne", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"}],
    }
    assert model["00100020"] == {"vr": "LO"}
    assert model["00080008"] == {"vr": "CS", "Value": ["ORIGINAL", "PRIMARY", None]}
    assert model["00180050"] == {"vr": "DS", "Value": [2.5]}
    assert model["00200032"]["Value"] == [-150.0, 0, 12]
    assert model["00200013"] == {"vr": "IS", "Value": [7]}
    assert model["00280106"] == {"vr": "SS", "Value": [-4]}
    assert model["00189073"] == {"vr": "FD", "Value": [0.125]}
    assert model["00280009"] == {"vr": "AT", "Value": ["00181063"]}
    assert model["00720026"] == {"vr": "AT", "Value": ["00100010", "00100020"]}
    assert base64.b64decode(model["00091001"]["InlineBinary"]) == b"\1\2\3\4"
    # pydicom writes words as they are given: in a big endian file these are others.
    words = b"\0\1\0\2" if syntax == ExplicitVRBigEndian else b"\1\0\2\0"
    assert base64.b64decode(model["00281201"]["InlineBinary"]) == words, "little endian, whatever the file is"
    items = model["0040A730"]["Value"]
    assert items[0]["0040A043"]["Value"][0]["00080104"] == {"vr": "LO", "Value": ["Größe"]}
    assert items[1] == {}
    assert model["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert not {"00020010", "00080000"} & model.keys()


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 100", "Buc^Jérôme"),
        ("ISO_IR 144", "Люкceмбypг"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    ],
)
def test_texts_are_utf_8_whatever_they_were(character_set: str | list[str], name: str) -> None:
    one = Dataset()
    one.SpecificCharacterSet = character_set
    one.PatientName = name
    groups = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), name.split("="), strict=False))
    assert model_of(file_of(one))["00100010"]["Value"] == [groups]


def test_a_name_that_its_character_set_has_not_is_still_a_text() -> None:
    data = file_of(sample()).replace("Änne".encode(), b"\xff\xfenne")
    assert model_of(data)["00100010"]["Value"][0]["Alphabetic"] == "Müller^\ufffd\ufffdnne"


def test_what_is_large_is_said_by_its_place() -> None:
    one = sample()
    one.ContentSequence[0].add_new(0x00091002, "OB", b"\7" * 2000)
    one.add_new(0x7FE00010, "OW", b"\0" * 12)
    file = part10.read(file_of(one))
    modelled = Modelled(file)
    model = modelled.model()
    assert model["7FE00010"] == {"vr": "OW", "BulkDataURI": "bulkdata/7FE00010"}
    assert model["0040A730"]["Value"][0]["00091002"]["BulkDataURI"] == "bulkdata/0040A730/0/00091002"
    at, length, _ = modelled.places["0040A730/0/00091002"]
    assert file.data[at : at + length] == b"\7" * 2000


def test_what_is_no_number_is_told_as_it_is() -> None:
    one = sample()
    data = file_of(one).replace(b"2.50", b"2..5")
    assert model_of(data)["00180050"] == {"vr": "UN", "InlineBinary": base64.b64encode(b"2..5").decode()}
    one.add_new(0x00189073, "FD", [float("nan"), float("-inf")])
    assert model_of(file_of(one))["00189073"]["Value"] == ["NaN", "-inf"]


@pytest.mark.parametrize(("intercept", "slope"), [("-1024", "1"), ("0", "-1")])
def test_a_table_of_values_of_interest_has_the_sign_of_what_the_modality_gives(intercept: str, slope: str) -> None:
    item = Dataset()
    item.add_new(0x00283002, "SS", [2, -1000, 8])
    item.add_new(0x00283006, "OW", b"\0\0\xff\0")
    one = Dataset()
    one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "2.25.1"
    one.PixelRepresentation, one.RescaleIntercept, one.RescaleSlope = 0, intercept, slope
    one.VOILUTSequence = Sequence([item])

    model = model_of(file_of(one, ImplicitVRLittleEndian))

    assert model["00283010"]["Value"][0]["00283002"] == {"vr": "SS", "Value": [2, -1000, 8]}


def alike_ones() -> list[bytes]:
    """Files that say the same in other words, and other things in the same ones."""
    found = [file_of(sample(), syntax) for syntax in ENCODINGS]
    for number in range(3):
        one = sample()
        one.InstanceNumber, one.PatientID = number, "P" * number
        one.add_new(0x7FE00010, "OW", b"\0" * 12)
        found.append(file_of(one))
    for character_set in ("ISO_IR 100", "ISO_IR 144", "ISO_IR 192"):
        one = sample()
        one.SpecificCharacterSet, one.PatientName, one.ContentSequence = character_set, "DOE", []
        found.append(file_of(one).replace(b"DOE", b"D\xc3\x84"))
    # The same bytes are another number where samples have no sign.
    signed = file_of(sample(), ImplicitVRLittleEndian)
    found.append(signed.replace(b"\x28\0\x03\x01\2\0\0\0\1", b"\x28\0\x03\x01\2\0\0\0\0"))
    return found


def test_what_was_read_of_others_changes_nothing() -> None:
    alike: Alike = {}
    for data in [*alike_ones(), *reversed(alike_ones())]:
        file = part10.read(data)
        fresh, modelled = Modelled(file), Modelled(file)
        assert json.loads(modelled.encoded(alike)) == json.loads(msgspec.json.encode(fresh.model()))
        assert modelled.places == fresh.places
    assert 0 < len({part for known in alike.values() for part in known}) < 25 * len(alike_ones())


@pytest.mark.corpus
def test_foreign_files_are_told_as_pydicom_tells_them(corpus: Path) -> None:
    compared = 0
    alike: Alike = {}
    for path in sorted((corpus / "files").iterdir()):
        if path.stat().st_size > _LARGE_BYTES:
            continue
        try:
            file = part10.read(path.read_bytes())
            theirs = pydicoms(path)
        except (Malformed, TooComplex):
            continue
        if len(theirs) < 4:
            continue  # pydicom 3 gives up at one value that it cannot convert.
        compared += 1
        ours = json.loads(msgspec.json.encode(Modelled(file).model()))
        assert list(differences(ours, theirs)) == [], path.name
        assert json.loads(Modelled(file).encoded(alike)) == ours
    assert compared > 200


def pydicoms(path: Path) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(path)
            text = dataset.to_json(1024, lambda _: "elsewhere", suppress_invalid_tags=True)
        except Exception:  # noqa: BLE001 - whatever a broken value leads it to
            return {}
    found: dict[str, Any] = json.loads(text)
    return found


def differences(ours: dict[str, Any], theirs: dict[str, Any], where: str = "") -> Any:
    """What pydicom says otherwise; but it knows private dictionaries, and leaves out what it cannot convert."""
    for tag, their in theirs.items():
        own = ours.get(tag, {})
        is_private = int(tag[:4], 16) % 2 == 1
        if tag in OURS or tag.endswith("0000") or (is_private and own.get("vr") == "UN"):
            continue
        if own.get("vr") != their.get("vr"):
            yield where + tag, own, their
        elif own["vr"] == "SQ":
            pairs = zip(own.get("Value", []), their.get("Value", []), strict=True)
            for number, (one, other) in enumerate(pairs):
                yield from differences(one or {}, other or {}, f"{where}{tag}/{number}/")
        elif "BulkDataURI" not in own and "BulkDataURI" not in their and plain(own) != plain(their):
            yield where + tag, own, their


def plain(element: dict[str, Any]) -> Any:
    """Without padding, which pydicom leaves at some texts, and with one word for nothing."""
    values = [value.strip(" ") or None if isinstance(value, str) else value for value in element.get("Value", [])]
    return element.get("InlineBinary"), values
