"""A study from outside has the numbers of elsewhere: before a person has said whose it is here, no search takes it for
one of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from consumers.catalog.database import Writer
from consumers.catalog.summarizing import refresh_all
from tests.catalogs import projected
from tests.event_streams import Hospital, new_log, write
from tests.gateways import Client, running_gateway
from tests.import_events import decided, from_outside

NAME, PATIENT, ISSUER, ACCESSION, STUDY = "00100010", "00100020", "00100021", "00080050", "0020000D"

# As it came from there, and a key of each kind that would give one of these away.
OF_ELSEWHERE = {
    "PatientID": "P*",
    "IssuerOfPatientID": "?*",
    "OtherPatientNames": "?*",
    "AccessionNumber": "A*",
    "RequestAttributesSequence.RequestedProcedureID": "?*",
}


class Archive:
    """A patient P1 of ours, and another hospital's P1. `is_listed`: their summaries are made; else that is done as they
    are asked for."""

    def __init__(self, dsn: str, *, is_listed: bool) -> None:
        self.dsn, self.log, self.hospital, self.is_listed = dsn, new_log(), Hospital(), is_listed
        ours = {"PatientID": "P1", "PatientName": "ROE^ANN", "AccessionNumber": "A-100"}
        self.ours = self.hospital.received(self.hospital.uid(), self.hospital.uid(), ours)
        more = {"IssuerOfPatientID": "ELSEWHERE", "OtherPatientNames": "DOE^M"}
        self.theirs = from_outside(self.hospital, **more)
        self.take(*(said for one in (self.ours, self.theirs) for said in (one, self.hospital.validated(one))))

    def take(self, *events: Any) -> None:
        write(self.log, events)
        projected(self.dsn, self.log, self.hospital)
        if self.is_listed:
            with closing(Writer(self.dsn)) as writer:
                refresh_all(writer)


@pytest.fixture(params=[True, False], ids=["listed", "just now"])
def archive(dsn: str, request: pytest.FixtureRequest) -> Archive:
    return Archive(dsn, is_listed=request.param)


@pytest.fixture
def client(archive: Archive) -> Iterator[Client]:
    with running_gateway(archive.dsn, archive.log) as client:
        yield client


def found(client: Client, path: str, **keys: str) -> list[dict[str, Any]]:
    answer = client.find(path, **keys)
    assert answer.status_code in (200, 204)
    assert "warning" not in answer.headers
    models: list[dict[str, Any]] = answer.json() if answer.content else []
    return models


def names(client: Client, path: str, **keys: str) -> list[str]:
    return [one[NAME]["Value"][0]["Alphabetic"] for one in found(client, path, **keys)]


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("/studies", {}),
        ("/studies", {"PatientID": "P1"}),
        ("/studies", {"PatientID": "P*"}),
        ("/studies", {"AccessionNumber": "A-100"}),
        ("/studies", {"StudyInstanceUID": "*"}),
        ("/studies", {"StudyInstanceUID": "**", "PatientName": "*"}),
        ("/series", {"includefield": "PatientName"}),
        ("/instances", {"PatientID": "P1", "includefield": "PatientName"}),
    ],
)
def test_a_number_of_elsewhere_finds_our_patient_alone(client: Client, path: str, keys: dict[str, str]) -> None:
    assert names(client, path, **keys) == ["ROE^ANN"]


def test_a_key_that_cannot_be_is_no_name_of_a_study(client: Client) -> None:
    answer = client.find("/studies", **{"StudyInstanceUID.PatientName": "DOE^J"})
    assert [one[NAME]["Value"][0]["Alphabetic"] for one in answer.json()] == ["ROE^ANN"]


def test_nor_does_a_name_find_it(client: Client) -> None:
    assert names(client, "/studies", PatientName="DOE*") == []


def test_whoever_has_its_uid_finds_it_with_no_number_of_elsewhere(archive: Archive, client: Client) -> None:
    uid = archive.theirs.instance.study_uid
    (one,) = found(client, "/studies", StudyInstanceUID=uid, includefield="all")
    assert one[NAME]["Value"] == [{"Alphabetic": "DOE^J"}]
    assert all("Value" not in one[tag] for tag in (PATIENT, ISSUER, ACCESSION))
    (series,) = found(client, f"/studies/{uid}/series", includefield="PatientID")
    assert "Value" not in series[PATIENT]
    assert len(found(client, f"/studies/{uid}/instances")) == 1
    for key, value in OF_ELSEWHERE.items():
        assert found(client, f"/studies/{uid}/series", **{key: value}) == []
        assert len(found(client, f"/studies/{uid}/series", **{key: "*"})) == 1
    assert found(client, "/studies", StudyInstanceUID=uid, PatientID="P1") == []
    assert found(client, f"/studies/{uid}/series", AccessionNumber="A-100") == []


def test_it_is_found_as_whose_it_is_here_and_no_more_when_that_is_taken_back(archive: Archive, client: Client) -> None:
    uid = archive.theirs.instance.study_uid
    archive.take(decided(archive.hospital, uid, PatientID="P77"))
    (one,) = found(client, "/studies", PatientID="P77")
    assert (one[STUDY]["Value"], one[ACCESSION]["Value"]) == ([uid], ["A-900"])
    assert names(client, "/studies", PatientID="P1") == ["ROE^ANN"]
    archive.take(decided(archive.hospital, uid, "unreconciled"))
    assert found(client, "/studies", PatientID="P77") == []
    assert names(client, "/studies") == ["ROE^ANN"]
