"""Which studies C-FIND finds by a key, and that it does not look at all others for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import structs

from streams.config import Site
from tests.archives import image
from tests.catalogs import projected
from tests.event_streams import SITE, TENANT, Hospital, new_log, write
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
