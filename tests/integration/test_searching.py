"""QIDO-RS over a catalog: what is found, how it is shown, and that nothing that is held is ever listed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
from msgspec import structs

from consumers.catalog import summarizing
from consumers.catalog.database import Writer
from consumers.catalog.migrate import migrate
from consumers.catalog.summarizing import refresh_all
from streams.events import AuditEvent
from tests.catalogs import projected, rows
from tests.event_streams import Hospital, inputs, new_log, night, partitions_of, write
from tests.gateways import Client, running_gateway
from tests.import_events import LISTED
from tests.postgres import Server, run_postgres

NAME, STUDY, SERIES, INSTANCE = "00100010", "0020000D", "0020000E", "00080018"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run_postgres() as running:
        yield running


class Archive:
    """A catalog of a log, with a gateway over it."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.hospital, self.log = Hospital(), new_log()
        migrate(dsn)

    def take(self, *events: Any) -> None:
        write(self.log, events)
        projected(self.dsn, self.log, self.hospital)

    def summarize(self) -> None:
        with closing(Writer(self.dsn)) as writer:
            refresh_all(writer)


@pytest.fixture(scope="module")
def archive(server: Server) -> Archive:
    archive = Archive(server.new_database("searched"))
    archive.take(*night(archive.hospital))
    return archive


@pytest.fixture(scope="module")
def client(archive: Archive) -> Iterator[Client]:
    with running_gateway(archive.dsn, archive.log) as client:
        yield client


def values(found: list[dict[str, Any]], tag: str) -> list[Any]:
    return [one[tag].get("Value", [None])[0] for one in found]


def test_a_study_shows_the_attributes_that_the_standard_requires(archive: Archive, client: Client) -> None:
    (found,) = client.find("/studies", PatientName="STROKE^STAT").json()
    assert list(found) == sorted(found)
    said = {tag: element.get("Value", []) for tag, element in found.items()}
    assert said[NAME] == [{"Alphabetic": "STROKE^STAT"}]
    assert (said["00100020"], said["00100040"], said["00080061"]) == (["P9"], ["F"], ["CT"])
    assert said["00080005"] == ["ISO_IR 192"]
    assert (said["00201206"], said["00201208"], said["00080056"]) == ([2], [6], ["ONLINE"])
    assert said["00081190"] == [f"{client.root}/studies/{said[STUDY][0]}"]
    required = (
        "00080020 00080030 00080050 00080056 00080061 00080090 00100010 00100020 00100030 00100040 0020000D 00200010"
    )
    assert set(required.split()) <= found.keys()


def test_what_is_served_is_listed_and_nothing_else(archive: Archive, client: Client) -> None:
    """Before the summaries are made, after, and at each level."""
    for _ in range(2):
        for path, tag, column in (
            ("/studies", STUDY, "study_uid"),
            ("/series", SERIES, "series_uid"),
            ("/instances", INSTANCE, "sop_instance_uid"),
        ):
            served = {uid for (uid,) in rows(archive.dsn, f"SELECT DISTINCT {column} FROM {LISTED}")}
            found = values(client.find(path).json(), tag)
            assert (len(found), set(found)) == (len(served), served)
        archive.summarize()


def test_every_count_is_of_what_is_served(archive: Archive, client: Client) -> None:
    counted = rows(archive.dsn, f"SELECT study_uid, count(*), count(DISTINCT series_uid) FROM {LISTED} GROUP BY 1")
    found = client.find("/studies").json()
    assert sorted(zip(*(values(found, tag) for tag in (STUDY, "00201208", "00201206")), strict=True)) == sorted(counted)


def test_a_path_narrows_and_its_own_levels_are_not_repeated(client: Client) -> None:
    study = values(client.find("/studies", PatientName="STROKE^STAT").json(), STUDY)[0]
    series = client.find(f"/studies/{study}/series").json()
    assert len(series) == 2
    assert all(set(values(series, STUDY)) == {study} and NAME not in one for one in series)
    first = series[0][SERIES]["Value"][0]
    instances = client.find(f"/studies/{study}/series/{first}/instances").json()
    assert len(instances) == series[0]["00201209"]["Value"][0] == 3
    assert instances[0]["00081190"]["Value"] == [
        f"{client.root}/studies/{study}/series/{first}/instances/{instances[0][INSTANCE]['Value'][0]}"
    ]
    assert len(client.find(f"/studies/{study}/instances").json()) == 6
    (named,) = client.find("/instances", SOPInstanceUID=instances[0][INSTANCE]["Value"][0]).json()
    assert named[NAME]["Value"] == [{"Alphabetic": "STROKE^STAT"}]


def test_pages_hold_everything_once_in_one_order(client: Client) -> None:
    whole_list = values(client.find("/studies").json(), STUDY)
    pages: list[str] = []
    left: list[str] = []
    while (answer := client.find("/studies", limit="4", offset=str(len(pages)))).status_code == 200:
        pages += values(answer.json(), STUDY)
        left.append(answer.headers.get("warning", ""))
    assert pages == whole_list
    assert left[0] == f"299 {client.root}: There are {len(whole_list) - 4} additional results that can be requested"
    assert left[-1] == ""
    # A page that nobody came to by the one before it.
    assert values(client.find("/studies", limit="3", offset="5").json(), STUDY) == whole_list[5:8]


@pytest.mark.parametrize(
    "query",
    [
        "limit=x",
        "limit=-1",
        "offset=1.5",
        "fuzzymatching=yes",
        "StudyDate=2026",
        "StudyDate=-",
        "StudyDate=20260101-20260102-20260103",
        "StudyDate=20261301",
        "StudyTime=25",
        "StudyInstanceUID=1.2.x",
        "StudyInstanceUID=1.2,,1.3",
        "NumberOfStudyRelatedSeries=many",
        "PatientName=A&PatientName=B",
        "PatientName=A&00100010=B",
        "PatientName=%ff",
        "PatientName=%00",
        "PatientName=" + "*a" * 40,
        "PatientName=" + "a" * 2000,
        "&".join(f"x{number}=1" for number in range(200)),
    ],
)
def test_a_query_that_cannot_be_is_refused_in_a_sentence(client: Client, query: str) -> None:
    answer = client.get(f"{client.root}/studies?{query}", timeout=30)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["title"].endswith(".")


def test_a_path_that_is_no_uid_is_refused(client: Client) -> None:
    assert client.find("/studies/x/series").status_code == 400
    assert client.find(f"/studies/{'1' * 65}/series").status_code == 400


def test_what_nothing_matches_has_no_content(client: Client) -> None:
    for path in ("/studies/1.2.3/series", "/studies?PatientID=nobody", "/studies?limit=0"):
        answer = client.find(path)
        assert (answer.status_code, answer.content) == (204, b"")


def test_what_is_not_matched_here_is_said(client: Client) -> None:
    answer = client.find("/studies", StationAETitle="X", Modality="CT", orderby="name")
    assert len(answer.json()) == 13
    assert "not matched here: Modality, StationAETitle" in answer.headers["warning"]
    assert "does not have are ignored" in answer.headers["warning"]


@pytest.mark.parametrize(
    ("accept", "asked", "answered"),
    [
        ("application/dicom+json", "", "application/dicom+json"),
        ("*/*", "", "application/dicom+json"),
        ("application/*;q=0.2", "", "application/dicom+json"),
        ("text/html, application/json;q=0.9, application/dicom+json;q=0.1", "", "application/json"),
        ("image/png", "application/dicom%2Bjson", "application/dicom+json"),
        ("application/dicom+json;q=0, */*", "", "application/json"),
        ("application/dicom+json", "image/png", "application/dicom+json"),
    ],
)
def test_the_answer_is_what_is_accepted(client: Client, accept: str, asked: str, answered: str) -> None:
    answer = client.get(f"{client.root}/studies?accept={asked}", headers={"accept": accept}, timeout=30)
    assert (answer.status_code, answer.headers["content-type"]) == (200, answered)


@pytest.mark.parametrize("accept", [None, ""])
def test_who_says_nothing_of_it_is_answered_in_json(client: Client, accept: str | None) -> None:
    answer = client.get(f"{client.root}/studies", headers={"accept": accept}, timeout=30)
    assert answer.request.headers.get("accept") == accept
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom+json")


@pytest.mark.parametrize("path", ["/studies", "/studies?PatientID=nobody", "/studies?limit=x"])
def test_a_list_of_names_is_kept_nowhere(client: Client, path: str) -> None:
    assert client.find(path).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("accept", ["image/png", "application/dicom+json;q=0", "nonsense", "text/*"])
def test_what_cannot_be_sent_is_refused(client: Client, accept: str) -> None:
    assert client.get(f"{client.root}/studies", headers={"accept": accept}, timeout=30).status_code == 406


REQUESTS = "00400275"
STEP, PROCEDURE = f"{REQUESTS}.00400009", "RequestAttributesSequence.RequestedProcedureID"


@pytest.fixture(scope="module")
def requested(server: Server) -> Iterator[Client]:
    """Two series that were asked for, one of them twice, and one that was not."""
    archive = Archive(server.new_database("requested"))
    images = archive.hospital.study("P1", "DOE^JANE", series=3, images=1)
    said = [{"RequestAttributesSequence": "S1\\R1\\S2\\R2"}, {"RequestAttributesSequence": "S3\\"}, {}]
    dates = {"PerformedProcedureStepStartDate": "20260102", "PerformedProcedureStepStartTime": "0910"}
    images = [
        structs.replace(one, protected=(one.protected[0], archive.hospital.blocks.put("series", dates | more)))
        for one, more in zip(images, said, strict=True)
    ]
    archive.take(*images, *map(archive.hospital.validated, images))
    with running_gateway(archive.dsn, archive.log) as client:
        yield client


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ({STEP: "S1"}, 1),
        ({STEP: "S2", PROCEDURE: "R2"}, 1),
        # One item has to match both.
        ({STEP: "S1", PROCEDURE: "R2"}, 0),
        ({STEP: "S?"}, 2),
        ({STEP: "S*", PROCEDURE: "R*"}, 1),
        ({STEP: "R1"}, 0),
        ({PROCEDURE: "*"}, 3),
        ({PROCEDURE: ""}, 3),
        ({"PerformedProcedureStepStartDate": "20260101-20260103", "PerformedProcedureStepStartTime": "09"}, 3),
        ({"PerformedProcedureStepStartDate": "20260103-"}, 0),
    ],
)
def test_series_are_found_by_what_was_asked_for(requested: Client, keys: dict[str, str], count: int) -> None:
    answer = requested.find("/series", **keys)
    assert len(answer.json() if answer.content else []) == count
    assert "warning" not in answer.headers


def test_a_series_says_what_was_asked_for(requested: Client) -> None:
    (found,) = requested.find("/series", **{STEP: "S1"}).json()
    assert found[REQUESTS] == {
        "vr": "SQ",
        "Value": [
            {"00400009": {"vr": "SH", "Value": ["S1"]}, "00401001": {"vr": "SH", "Value": ["R1"]}},
            {"00400009": {"vr": "SH", "Value": ["S2"]}, "00401001": {"vr": "SH", "Value": ["R2"]}},
        ],
    }
    assert (found["00400244"]["Value"], found["00400245"]["Value"]) == (["20260102"], ["0910"])
    (other,) = requested.find("/series", **{STEP: "S3"}).json()
    assert other[REQUESTS]["Value"] == [{"00400009": {"vr": "SH", "Value": ["S3"]}}]
    (image,) = requested.find("/instances", **{STEP: "S3"}).json()
    assert image[REQUESTS] == other[REQUESTS]


def test_what_no_sequence_has_is_not_matched_and_said(requested: Client) -> None:
    answer = requested.find("/series", **{"RequestAttributesSequence.AccessionNumber": "A", REQUESTS: "x"})
    assert len(answer.json()) == 3
    assert "RequestAttributesSequence, RequestAttributesSequence.AccessionNumber" in answer.headers["warning"]
    studies = requested.find("/studies", **{STEP: "S1"})
    assert "not matched here: RequestAttributesSequence.ScheduledProcedureStepID" in studies.headers["warning"]


def test_a_page_has_no_more_than_the_site_allows_whatever_is_asked_for(archive: Archive, client: Client) -> None:
    whole = values(client.find("/studies").json(), STUDY)
    with running_gateway(archive.dsn, archive.log, page_max=2) as bounded:
        for limit in ({}, {"limit": "1000"}):
            answer = bounded.find("/studies", **limit)
            assert values(answer.json(), STUDY) == whole[:2]
            assert f"There are {len(whole) - 2} additional results" in answer.headers["warning"]
        assert values(bounded.find("/studies", offset="2").json(), STUDY) == whole[2:4]
        assert values(bounded.find("/studies", limit="1").json(), STUDY) == whole[:1]


def test_kinds_of_matching_that_there_are_not_are_said(client: Client) -> None:
    asked = {"emptyvaluematching": "true", "multiplevaluematching": "false", "limit": "1"}
    said = client.find("/studies", **asked).headers["warning"]
    assert "The emptyvaluematching parameter is not supported. Empty Value Matching has not been performed" in said
    assert "multiplevaluematching" not in said
    assert client.find("/studies", multiplevaluematching="maybe").status_code == 400


def test_results_are_had_as_xml_too(client: Client) -> None:
    accept = 'multipart/related; type="application/dicom+xml"'
    answer = client.get(f"{client.root}/studies?limit=2", headers={"accept": accept}, timeout=30)
    assert answer.status_code == 200
    kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert kind == accept
    parts = answer.content.split(f"--{boundary}".encode())[1:-1]
    found = [fromstring(part.partition(b"\r\n\r\n")[2]) for part in parts]  # noqa: S314 - our own
    expected = client.find("/studies", limit="2").json()
    assert [[one.attrib["tag"] for one in each] for each in found] == [list(each) for each in expected]


def test_who_is_shown_lists_is_audited_once_and_then_in_sums(server: Server) -> None:
    archive = Archive(server.new_database("audited"))
    archive.take(*archive.hospital.study("P1", "SEEN^BY"))
    with running_gateway(archive.dsn, archive.log) as client:
        for _ in range(3):
            client.find("/studies", PatientName="SEEN*")
    seen = [one.event for name in partitions_of(archive.log) for one in inputs(archive.log, name)]
    listed = [(one.actor, one.meta.subject, one.attributes) for one in seen if isinstance(one, AuditEvent)]
    assert listed == [
        ("127.0.0.1", "studies", {"searches": "1", "results": "0"}),
        ("127.0.0.1", "studies", {"searches": "2", "results": "0"}),
    ]


def test_a_study_that_an_older_consumer_wrote_behind_the_migration_is_listed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = Archive(server.new_database("deploying"))
    with monkeypatch.context() as older:
        older.setattr(summarizing, "note", lambda *_: None)
        images = archive.hospital.study("P1", "DOE^JANE")
        archive.take(*images, *map(archive.hospital.validated, images))
    with running_gateway(archive.dsn, archive.log) as client:
        assert migrate(archive.dsn, "after")
        assert values(client.find("/studies").json(), STUDY) == [images[0].instance.study_uid]
        archive.summarize()
        assert values(client.find("/studies").json(), STUDY) == [images[0].instance.study_uid]
