"""Series that a model made, in lists and on the study page: what they are called, and how far they hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest
from msgspec import structs

from consumers.catalog.migrate import migrate
from consumers.catalog.reading import Reads
from gateway.dimse import rows
from streams.events import Event, InferenceResult, InstanceReceived, ResultObject
from streams.memory_log import MemoryLog
from tests.catalogs import projected
from tests.event_streams import TENANT, Hospital, new_log, write
from tests.gateways import Client, running_gateway
from tests.inference_events import result, review
from tests.postgres import Server, run_postgres
from tests.quarantine_events import assessed_as_strange

CALLED = "AI, not reviewed: nodule-ct 1"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run_postgres() as running:
        yield running


class Archive:
    """A hospital whose log a catalog follows, with a gateway over it."""

    def __init__(self, client: Client, dsn: str, log: MemoryLog) -> None:
        self.client, self.dsn, self.log, self.hospital = client, dsn, log, Hospital()
        images = self.hospital.study("P1", "DOE^JANE", series=1, images=3)
        self.images = [
            structs.replace(one, technical=structs.replace(one.technical, body_part="CHEST")) for one in images
        ]
        self.study = images[0].instance.study_uid

    def follow(self, *events: Event) -> None:
        write(self.log, events)
        projected(self.dsn, self.log, self.hospital)

    def said(self, images: Sequence[InstanceReceived], revision: int = 1) -> tuple[InferenceResult, InstanceReceived]:
        """A result about images, and the segmentation that was made of it."""
        about = result(self.hospital, images, revision=revision)
        like = self.hospital.received(self.study, self.hospital.uid(), {})
        technical = structs.replace(like.technical, modality="SEG", series_number=1001)
        made = structs.replace(like, technical=technical, protected=())
        objects = (ResultObject(kind="seg", instance=made.instance, object=made.object),)
        return structs.replace(about, objects=objects), made

    def listed(self, made: InstanceReceived) -> dict[str, object]:
        """What a search says of the series, by keyword's tag."""
        found = self.client.find(f"/studies/{self.study}/series", SeriesInstanceUID=made.instance.series_uid).json()
        return {tag: found[0][tag]["Value"][0] for tag in ("00080060", "0008103E", "00180015")}

    def page(self) -> str:
        root = self.client.root.removesuffix("/dicomweb")
        return self.client.get(f"{root}/study/{self.study}", headers={"accept": "text/html"}, timeout=30).text


@pytest.fixture
def archive(server: Server, request: pytest.FixtureRequest) -> Iterator[Archive]:
    dsn, log = server.new_database(request.node.name[:60]), new_log()
    migrate(dsn)
    with running_gateway(dsn, log) as client:
        yield Archive(client, dsn, log)


@pytest.mark.parametrize("result_first", [True, False])
def test_it_is_called_what_its_objects_say_in_every_list(archive: Archive, result_first: bool) -> None:
    images, hospital = archive.images, archive.hospital
    about, made = archive.said(images)
    archive.follow(*images, *map(hospital.validated, images), hospital.revision(images))
    # They come from different partitions, in any order.
    objects, words = [made, hospital.validated(made)], [about]
    for events in (words, objects) if result_first else (objects, words):
        archive.follow(*events)
    assert archive.listed(made) == {"00080060": "SEG", "0008103E": CALLED, "00180015": "CHEST"}
    assert archive.listed(images[0])["0008103E"] == "LUNG"
    found = archive.client.find(f"/studies/{archive.study}/series", SeriesDescription="AI, not reviewed*").json()
    assert [one["0020000E"]["Value"] for one in found] == [[made.instance.series_uid]]
    with closing(Reads(archive.dsn)) as reads, reads.snapshot() as cursor:
        series = {one.series_uid: one for one in rows.series(cursor, TENANT, [archive.study])}
    by_dimse = series[made.instance.series_uid]
    assert (by_dimse.modality, by_dimse.description, by_dimse.body_part) == ("SEG", CALLED, "CHEST")


def test_its_card_says_how_far_its_result_is_to_be_relied_on(archive: Archive) -> None:
    images, hospital = archive.images, archive.hospital
    about, made = archive.said(images)
    all_of_it = [*images, made]
    archive.follow(*all_of_it, *map(hospital.validated, all_of_it), hospital.revision(images), about)
    card = '<b>SEG</b> nodule-ct 1 <span class="mark">{}</span><br>\nCHEST, series 1001'
    assert card.format("AI, not reviewed") in archive.page()
    archive.follow(review(hospital, about, finding=False))
    assert card.format("AI") in archive.page()
    later, anew = archive.said(images[:2], revision=2)
    later = structs.replace(later, meta=hospital.meta("ai.nodule-ct", "later"))
    archive.follow(anew, hospital.validated(anew), hospital.revision(images[:2], 2), later)
    text = archive.page()
    assert card.format("AI, superseded by a later result") in text
    assert card.format("AI, not reviewed") in text


def test_what_was_said_with_an_image_that_is_held_since_says_so_and_is_withdrawn(archive: Archive) -> None:
    *own, stray = archive.images
    hospital = archive.hospital
    about, made = archive.said(archive.images)
    all_of_it = [*archive.images, made]
    findings = [hospital.validated(one, findings=2) for one in all_of_it]
    archive.follow(*all_of_it, *findings, hospital.revision(archive.images), about)
    assert "held" not in archive.page()

    archive.follow(assessed_as_strange(hospital, stray))
    text = archive.page()
    assert "1 image of this series held since" in text
    assert text.count("AI, not reviewed; said before images of the series were held") == 2, "the result and its series"
    assert "4 images, 1 of them held" in text

    revision = structs.replace(hospital.revision(own, 2), removals={stray.instance.series_uid: 2})
    archive.follow(revision)
    text = archive.page()
    assert "AI, withdrawn: made with images that are held" in text
    assert "analysed, revision 1; revision 2 is without them" in text
    assert "AI, not reviewed" not in text.replace(CALLED, "")


def test_a_series_of_a_scanner_is_called_what_it_calls_itself(archive: Archive) -> None:
    images, hospital = archive.images, archive.hospital
    about = structs.replace(
        result(hospital, images),
        objects=(ResultObject(kind="seg", instance=images[0].instance, object=images[0].object),),
    )
    archive.follow(*images, *map(hospital.validated, images), hospital.revision(images), about)
    assert archive.listed(images[0])["0008103E"] == "LUNG"
    assert "LUNG" in archive.page()
