"""The Native DICOM Model as XML: held to DCMTK's dcm2xml, and to PS3.19 annex A.1 where no tool says it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, fromstring

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from gateway.dicomweb.json_model import Modelled
from streams import part10
from streams.xml_model import native
from tests.unit.test_json_model import file_of

PREFIX = "{http://dicom.nema.org/PS3.19/models/NativeDICOM}"
DCM2XML = shutil.which("dcm2xml")


def sample() -> Dataset:
    one = Dataset()
    one.SpecificCharacterSet = "ISO_IR 192"
    one.ImageType = ["ORIGINAL", "PRIMARY"]
    one.SOPClassUID, one.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "2.25.1"
    one.PatientName = "Müller^Änne^^Dr=山田^太郎=やまだ^たろう"
    one.PatientID = ""
    one.SeriesDescription = 'a < b & "c"'
    one.SliceThickness = "2.5"
    one.InstanceNumber = 7
    one.FrameIncrementPointer = 0x00181063
    one.Rows = 512
    code = Dataset()
    code.CodeValue, code.CodeMeaning = "T-1", "lung"
    inner = Dataset()
    inner.ConceptCodeSequence = Sequence([code])
    one.ContentSequence = Sequence([inner, Dataset()])
    block = one.private_block(0x0009, "ACME", create=True)
    block.add_new(0x01, "LO", "hidden")
    return one


def model_of(data: bytes) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(Modelled(part10.read(data)).model()))
    return found


def read(document: bytes) -> Element:
    return fromstring(document)  # noqa: S314 - our own


def told(root: Element) -> dict[str, Any]:
    """Tag to what is said of it, however the document is laid out."""
    return {one.attrib["tag"]: _of(one) for one in root.findall(f"{PREFIX}DicomAttribute")}


def _of(attribute: Element) -> Any:
    values: list[Any] = [attribute.attrib["vr"], attribute.get("keyword"), attribute.get("privateCreator")]
    for one in attribute:
        name = one.tag.removeprefix(PREFIX)
        if name == "Item":
            values.append((one.attrib["number"], told(one)))
        elif name == "PersonName":
            values.append([(part.tag, part.text) for part in one.iter() if part.text and part.text.strip()])
        elif name == "Value":
            values.append((one.attrib["number"], one.text))
        else:
            values.append(name)
    return values


@pytest.mark.skipif(DCM2XML is None, reason="dcm2xml is not installed: apt-get install dcmtk")
def test_it_is_what_dcmtk_makes_of_the_same_file(tmp_path: Path) -> None:
    data = file_of(sample())
    (tmp_path / "one.dcm").write_bytes(data)
    done = subprocess.run(
        [str(DCM2XML), "--native-format", "--use-xml-namespace", tmp_path / "one.dcm"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    theirs = {tag: said for tag, said in told(read(done.stdout)).items() if not tag.startswith("0002")}
    assert told(read(native(model_of(data)))) == theirs


def test_of_a_private_attribute_it_says_whose_it_is() -> None:
    said = told(read(native(model_of(file_of(sample())))))
    assert said["00090001"] == ["LO", None, "ACME", ("1", "hidden")]
    assert said["00090010"] == ["LO", None, None, ("1", "ACME")]


def test_bulk_data_is_where_the_json_model_has_it() -> None:
    model = {
        "7FE00010": {"vr": "OW", "BulkDataURI": 'http://h/a?b="c"&d'},
        "00420011": {"vr": "OB", "InlineBinary": "AAE="},
    }
    root = read(native(model))
    assert [one.attrib for one in root.iter(f"{PREFIX}BulkData")] == [{"uri": 'http://h/a?b="c"&d'}]
    assert [one.text for one in root.iter(f"{PREFIX}InlineBinary")] == ["AAE="]


def test_an_empty_value_keeps_the_place_of_the_others() -> None:
    model = {"00080008": {"vr": "CS", "Value": ["ORIGINAL", None, "AXIAL"]}}
    assert told(read(native(model)))["00080008"][3:] == [("1", "ORIGINAL"), ("3", "AXIAL")]


@given(st.text())
def test_whatever_a_text_holds_it_is_a_document(text: str) -> None:
    """As XML reads it back: but for characters that XML has not."""
    model = {"00104000": {"vr": "LT", "Value": [text]}, "00100010": {"vr": "PN", "Value": [{"Alphabetic": text}]}}
    said = told(read(native(model)))["00104000"][3][1] or ""
    assert len(said) == len(text)
    assert all(one == other or one == "\ufffd" for one, other in zip(said, text, strict=True))


@pytest.mark.corpus
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_foreign_files_are_documents_with_every_attribute(corpus: Path) -> None:
    count = 0
    for path in sorted((corpus / "files").rglob("*"))[:150]:
        if not path.is_file() or path.stat().st_size > 1 << 20:
            continue
        try:
            model = model_of(path.read_bytes())
        except Exception:  # noqa: BLE001, S112 - what has no model is not what is tested
            continue
        assert len(list(read(native(model)))) == len(model)
        count += 1
    assert count > 50
