"""What the catalog makes of senders' text, dates and patient IDs."""

from __future__ import annotations

import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumers.catalog.attributes import Described, Reader, patient_key
from consumers.catalog.text import clean, document
from streams.events import ObjectRef, ProtectedRef
from streams.protected import Attributes, Erased
from streams.protected_keys import UnknownKey
from streams.stop import Stop

REF = ProtectedRef(
    level="study",
    block_id="b",
    object=ObjectRef(tenant="t", store="hot", key="k", length=1, size=1, sha256="0"),
)


def described(**attributes: str) -> Described:
    return Described(REF, "open", attributes)


@given(st.dictionaries(st.text(), st.text() | st.lists(st.text(alphabet=st.characters(categories=["Cs", "Cc", "L"])))))
def test_what_goes_to_postgresql_is_unicode_without_nul(row: dict[str, str | list[str]]) -> None:
    sent = json.loads(document([row]))
    assert sent == [clean(row)]
    assert "\\u0000" not in document([row]).replace("\\\\", "")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("20261102", date(2026, 11, 2)),
        ("2026.11.02", date(2026, 11, 2)),
        (" 20261102 ", date(2026, 11, 2)),
        ("20261302", None),
        ("202611", None),
        ("20261102-20261103", None),
        ("٢٠٢٦١١٠٢", None),
        ("", None),
    ],
)
def test_a_date_is_a_da_or_none(text: str, found: date | None) -> None:
    assert described(StudyDate=text).date("StudyDate") == found


def test_two_studies_are_of_one_patient_only_where_issuer_and_id_say_so() -> None:
    one = patient_key(described(PatientID="1"), "1.2", "north")
    assert patient_key(described(PatientID="1", PatientName="X"), "1.3", "north") == one
    assert patient_key(described(PatientID="1", IssuerOfPatientID="OTHER"), "1.2", "north") != one
    issued = described(PatientID="1", IssuerOfPatientID="OTHER")
    assert patient_key(issued, "1.2", "south") == patient_key(issued, "1.2", "north")
    assert patient_key(described(PatientID="1"), "1.2", "south") != one
    assert patient_key(described(PatientName="X"), "1.2", "north") != patient_key(
        described(PatientName="X"), "1.3", "north"
    )


class Counted:
    """Blocks that count how often they are read."""

    def __init__(self, answer: Attributes | Erased | Exception) -> None:
        self.answer = answer
        self.reads = 0

    def read(self, ref: ProtectedRef) -> Attributes | Erased:
        self.reads += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.mark.parametrize("answer", [{"PatientName": ["A", "B"]}, Erased("b")])
def test_a_block_is_read_once_for_all_instances_of_a_study(answer: Attributes | Erased) -> None:
    blocks = Counted(answer)
    reader = Reader(blocks)
    assert {reader.read(REF).text("PatientName") for _ in range(100)} <= {"A\\B", ""}
    assert blocks.reads == 1


def test_a_key_that_is_missing_stops_with_what_to_do() -> None:
    with pytest.raises(Stop, match="restore the key file"):
        Reader(Counted(UnknownKey("the key file has no key 'k1'"))).read(REF)
