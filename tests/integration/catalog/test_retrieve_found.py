"""Which studies C-FIND finds by a key, and that it does not look at all others for them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from msgspec import structs

from consumers.catalog.database import Writer
from consumers.catalog.summarizing import refresh_all
from gateway.dimse import candidates
from streams.config import Site
from tests.archives import image
from tests.catalogs import projected
from tests.event_streams import SITE, TENANT, Hospital, new_log, write
from tests.import_events import DISC, decided
from tests.retrieves import Client, keys, running_retrieve


@pytest.fixture
def client(dsn: str) -> Iterator[Client]:
    """Studies 1.2.1 of CT, 1.2.2 of MR and SR, 1.2.3 of US."""
    hospital, log = Hospital(), new_log()
    for study_uid, modality in (("1.2.1", "CT"), ("1.2.2", "MR"), ("1.2.2", "SR"), ("1.2.3", "US")):
        one = image(hospital, {"PatientID": "P1"}, study_uid=study_uid)
        write(log, [structs.replace(one, technical=structs.replace(one.technical, modality=modality))])
        write(log, [hospital.validated(one)])
    projected(dsn, log, hospital)
    with running_retrieve(dsn, hospital.store, log, Site(tenant=TENANT, site=SITE)) as client:
        yield client


@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # a wild card is none, and asked for so
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("CT", {"1.2.1"}),
        (["CT", "MR"], {"1.2.1", "1.2.2"}),
        (["SR", "MR"], {"1.2.2"}),
        (["C*", "US"], {"1.2.1", "1.2.3"}),
        (["XA", "PT"], set()),
    ],
)
def test_of_several_modalities_a_study_has_any(client: Client, asked: str | list[str], found: set[str]) -> None:
    """As QIDO-RS has it. Before, several were refused with 0xC000, and workstations ask so."""
    status, studies = client.find(keys("STUDY", StudyInstanceUID=None, ModalitiesInStudy=asked))
    assert (status, {one.StudyInstanceUID for one in studies}) == (0x0000, found)


def test_several_values_of_another_key_mean_nothing_and_are_refused(client: Client) -> None:
    asked = keys("STUDY", StudyInstanceUID=None, AccessionNumber=["A-1", "A-2"])
    assert client.find(asked) == (0xC000, [])


UTF_8 = {"SpecificCharacterSet": "ISO_IR 192"}
NAMES = ("DOE^JANE", "Doering^Jan", "MÜLLER^ÄNNE", "O'BRIEN^SEÁN", "Yamada^Tarou=山田^太郎", "", "Łukasz^X")


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_what_is_found_by_the_lists_is_what_is_found_without_them(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of studies that are on a list, of one that has changed since, and of one from outside that is reconciled."""
    hospital, log = Hospital(), new_log()
    images = [
        image(hospital, {**UTF_8, "PatientID": f"P1{number}", "PatientName": name, "AccessionNumber": f"A-{number}00"})
        for number, name in enumerate(NAMES)
    ]
    outside = image(hospital, {"PatientID": "X1", "PatientName": "ROE^R", "AccessionNumber": "A-100"}, outside=DISC)
    decision = decided(hospital, outside.instance.study_uid, PatientID="P19", AccessionNumber="A-1_")
    write(log, [*images, outside, *map(hospital.validated, [*images, outside]), decision])
    projected(dsn, log, hospital)
    with closing(Writer(dsn)) as writer:
        refresh_all(writer)
    late = image(hospital, {"PatientID": "P18", "PatientName": "DOE^LATE", "AccessionNumber": "A-101"})
    write(log, [late, hospital.validated(late)])
    projected(dsn, log, hospital)
    asked = [
        *({"PatientID": key} for key in ("P1*", "P1?", "*8", "P1_*", "X*", "?", "*")),
        *({"AccessionNumber": key} for key in ("A-1*", "A-1_*", "A-?00", "%*")),
        *({"PatientName": key} for key in ("doe*", "*ANN*", "o'br*", "山田*", "*u?asz*", "DOE^JANE", "R*", "*")),
        {"PatientName": "DOE*", "PatientID": "P1*"},
    ]
    with running_retrieve(dsn, hospital.store, log, Site(tenant=TENANT, site=SITE)) as client:

        def found(said: dict[str, str], extended: bytes) -> list[str]:
            status, studies = client.find(keys("STUDY", **UTF_8, StudyInstanceUID=None, **said), extended=extended)
            assert status == 0x0000
            return [one.StudyInstanceUID for one in studies]

        def all_found() -> list[list[str]]:
            return [found(said, extended) for said in asked for extended in (b"", b"\0\0\1")]

        by_lists = all_found()
        monkeypatch.setattr(candidates, "FEW_MAX", -1)
        assert by_lists == all_found()
    assert len(by_lists[0]) == len(images) + 2
    assert late.instance.study_uid in by_lists[2 * asked.index({"PatientName": "doe*"})]
    assert by_lists[2 * asked.index({"PatientName": "R*"})] == []


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"AccessionNumber": "B2*"}, {"1.2.1"}),
        ({"AccessionNumber": "*2"}, {"1.2.1"}),
        ({"AccessionNumber": "A1*"}, {"1.2.1", "1.2.2"}),
        ({"PatientID": "Q?"}, {"1.2.2"}),
        ({"PatientID": "Q?", "AccessionNumber": "B2*"}, set()),
        ({"PatientID": "Q?", "PatientName": "DOE*"}, {"1.2.2"}),
        ({"PatientID": "Q?", "PatientName": "ROE*"}, set()),
    ],
)
def test_of_several_values_any_is_found_by_a_wild_card(dsn: str, asked: dict[str, str], found: set[str]) -> None:
    """A request that was split, an ID that was merged. Before, the first value alone was found."""
    hospital, log = Hospital(), new_log()
    for uid, patient, accession in (("1.2.1", "P1", "A1\\B2"), ("1.2.2", "P2\\Q3", "A10"), ("1.2.3", "P3", "C3")):
        said = {"PatientID": patient, "PatientName": "DOE^JANE", "AccessionNumber": accession}
        one = image(hospital, said, study_uid=uid)
        write(log, [one, hospital.validated(one)])
    projected(dsn, log, hospital)
    with closing(Writer(dsn)) as writer:
        refresh_all(writer)
    with running_retrieve(dsn, hospital.store, log, Site(tenant=TENANT, site=SITE)) as client:
        status, studies = client.find(keys("STUDY", StudyInstanceUID=None, **asked))
    assert (status, {one.StudyInstanceUID for one in studies}) == (0x0000, found)
