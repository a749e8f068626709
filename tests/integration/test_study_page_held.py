"""The study page over a catalog: of what is held it says how much and why, and shows nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from consumers.catalog.migrate import migrate
from streams.memory_log import MemoryLog
from tests.catalogs import projected
from tests.event_streams import Hospital, new_log, write
from tests.gateways import Client, running_gateway
from tests.postgres import Server, run_postgres

NAME = "DOE^JANE"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run_postgres() as running:
        yield running


@pytest.fixture
def hospital() -> Hospital:
    return Hospital()


@pytest.fixture
def log() -> MemoryLog:
    return new_log()


@pytest.fixture
def dsn(server: Server, request: pytest.FixtureRequest) -> str:
    dsn = server.new_database(request.node.name)
    migrate(dsn)
    return dsn


@pytest.fixture
def client(dsn: str, log: MemoryLog) -> Iterator[Client]:
    with running_gateway(dsn, log) as client:
        yield client


def page(client: Client, study_uid: str) -> str:
    root = client.root.removesuffix("/dicomweb")
    answer = client.get(f"{root}/study/{study_uid}", headers={"accept": "text/html"}, timeout=30)
    assert answer.status_code == 200
    return answer.text


def test_of_a_study_that_is_held_as_a_whole_no_patient_and_no_series_is_shown(
    client: Client, dsn: str, hospital: Hospital, log: MemoryLog
) -> None:
    images = hospital.study("P-HELD-1", NAME)
    write(log, [*images, *(hospital.quarantined(image) for image in images)])
    projected(dsn, log, hospital)
    text = page(client, images[0].instance.study_uid)
    assert "6 images held and not shown" in text
    for held in (NAME, "P-HELD-1", "LUNG", "CT CHEST", images[0].instance.series_uid, "/viewer"):
        assert held not in text


def test_a_series_that_is_held_is_not_shown_and_images_are_counted_that_are(
    client: Client, dsn: str, hospital: Hospital, log: MemoryLog
) -> None:
    first, *more = images = hospital.study("P1", NAME, series=2, images=3)
    good = [one for one in more if one.instance.series_uid == first.instance.series_uid]
    held = [one for one in images if one not in good]
    write(log, [*images, *map(hospital.validated, good), *map(hospital.quarantined, held)])
    projected(dsn, log, hospital)
    text = page(client, first.instance.study_uid)
    assert NAME in text
    assert "series 1, 2 images" in text
    assert "4 images held and not shown" in text
    assert first.instance.series_uid in text
    assert images[-1].instance.series_uid not in text
