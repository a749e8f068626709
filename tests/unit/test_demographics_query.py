"""The query for patients, as the library `hl7` reads it: whatever a disc says of its patient, it is one message."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import hl7
import pytest

from radstream.demographics.config import Settings
from radstream.demographics.query import Known, query
from tests.demographics_suppliers import criteria_of

AT = datetime(2026, 11, 29, 12, 30, 1, tzinfo=UTC)


def asked(known: Known, **settings: Any) -> hl7.Message:
    made = query(known, Settings(host="mpi", port=3600, **settings), "NORTH", AT, "q1")
    return hl7.parse(made.data.decode())


def test_it_is_a_find_candidates_query() -> None:
    message = asked(Known(name="Doe^Jane^Q", birth_date="19500101", sex="F"), application="MPI", facility="HOSPITAL")
    assert [str(segment[0]) for segment in message] == ["MSH", "QPD", "RCP"]
    head = message["MSH"][0]
    assert [str(head[number]) for number in (3, 4, 5, 6, 7)] == [
        *("RADSTREAM", "NORTH", "MPI", "HOSPITAL", "20261129123001"),
    ]
    assert [str(head[number]) for number in (9, 10, 11, 12)] == ["QBP^Q22^QBP_Q21", "q1", "P", "2.5"]
    assert str(head[18]) == "UNICODE UTF-8"
    assert [str(message["QPD"][0][number]) for number in (1, 2)] == ["IHE PDQ Query", "q1"]
    assert criteria_of(message) == {"PID.5.1.1": "Doe", "PID.5.2": "Jane", "PID.7": "19500101", "PID.8": "F"}
    assert [str(message["RCP"][0][number]) for number in (1, 2)] == ["I", "50^RD"]


@pytest.mark.parametrize(
    ("issuer", "field"), [("NORTH", "PID.3.4.1"), ("1.2.3.4", "PID.3.4.2")], ids=["namespace", "OID"]
)
def test_a_number_is_asked_for_with_its_issuer(issuer: str, field: str) -> None:
    assert criteria_of(asked(Known(patient_id="4711", issuer=issuer))) == {"PID.3.1": "4711", field: issuer}


@pytest.mark.parametrize(("domain", "said"), [("NORTH", "^^^NORTH"), ("1.2.3", "^^^&1.2.3&ISO")])
def test_it_says_whose_numbers_are_wanted(domain: str, said: str) -> None:
    assert str(asked(Known(name="Doe"), domain=domain)["QPD"][0][8]) == said


@pytest.mark.parametrize(
    "name",
    [
        "Doe|X~Y&Z",
        "Doe\\F\\",
        "Doe\rPID|||EVIL",
        "Doe\x1c\x0d\x0bMSH|~\\&",
        "Dœ",
        "ヤマダ",
        "D" * 5000,
    ],
)
def test_no_name_ends_a_field_or_the_message(name: str) -> None:
    message = asked(Known(name=f"{name}^Jane"))
    assert [str(segment[0]) for segment in message] == ["MSH", "QPD", "RCP"]
    said = criteria_of(message)
    assert said.keys() == {"PID.5.1.1", "PID.5.2"}
    kept = "".join(sign if sign.isprintable() and sign not in "\\^=" else " " for sign in name)
    assert said["PID.5.1.1"].split() == kept[:64].split()


def test_of_several_scripts_the_first_that_says_anything_is_asked_for() -> None:
    assert criteria_of(asked(Known(name="Yamada^Tarou=山田^太郎"))) == {"PID.5.1.1": "Yamada", "PID.5.2": "Tarou"}
    assert criteria_of(asked(Known(name="=山田^太郎"))) == {"PID.5.1.1": "山田", "PID.5.2": "太郎"}
