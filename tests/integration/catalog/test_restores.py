"""What is archived: readers are told when it is expected, one restore is asked for, and it is sent once it is there."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from msgspec import structs

from consumers.catalog import restores
from consumers.catalog.counts import open_work
from consumers.catalog.database import snapshot
from gateway import asking
from gateway.app import DICOMWEB
from gateway.restoring import Restoring
from radstream.tier_restore import restore as bring_back
from streams import part10
from streams.config import RESTORE_S_MAX, Config, Site
from streams.events import (
    AccessRead,
    AuditEvent,
    Event,
    InstanceReceived,
    InstanceValidated,
    Phase,
    TierCommand,
    TierMoved,
)
from streams.log import LogAway
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN, Part10, metadata_sha256
from tests.archives import archived, image, restored
from tests.catalogs import catalog_of, project
from tests.event_streams import SITE, TENANT, Hospital, inputs, new_log, partitions_of, write
from tests.gateways import RESTORE_S, Client, running_gateway
from tests.images import CT
from tests.retrieves import STUDY_GET, keys, running_retrieve
from tests.waiting import wait_until

FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
FRAMES = 'multipart/related; type="application/octet-stream"'


class World:
    """A study of two images that lie in archived stores."""

    def __init__(self, dsn: str) -> None:
        self.dsn, self.hospital, self.log = dsn, Hospital(), new_log()
        self.hospital.store.archived = ("cold", "backup")
        self.study_uid = self.hospital.uid()
        self.images = [self.image(), self.image()]
        self.tell([*self.images, *map(self.validated, self.images), self.hospital.revision(self.images)])
        self.tell(archived(self.hospital, self.images))

    def image(self) -> InstanceReceived:
        return image(self.hospital, {"PatientID": "P1"}, study_uid=self.study_uid)

    def validated(self, one: InstanceReceived) -> InstanceValidated:
        """With what its header is checked by: without that the whole is read for it, and at hand for a while."""
        file = part10.read(self.hospital.store.read(one.object))
        assert isinstance(file, Part10)
        return structs.replace(self.hospital.validated(one), metadata_sha256=metadata_sha256(file))

    def tell(self, events: Iterable[Event]) -> None:
        """Into the log, and the catalog has read it."""
        write(self.log, events)
        with catalog_of(self.dsn, self.log, self.hospital) as catalog:
            project(catalog, self.log)

    def restore(self, *phases: Phase, first: int = 9, ago: timedelta = timedelta()) -> None:
        """Phases of a restore, the first one `ago`, the others now."""
        at = [datetime.now(UTC) - ago, *[datetime.now(UTC)] * len(phases)]
        made = list(restored(self.hospital, self.images, *phases, first=first, move=first))
        self.tell(
            structs.replace(event, meta=structs.replace(event.meta, occurred_at=when))
            for event, when in zip(made, at, strict=False)
        )

    def told(self, kind: type[Event], group: str = "catalog") -> list[Event]:
        names = partitions_of(self.log, group)
        return [item.event for name in names for item in inputs(self.log, name) if isinstance(item.event, kind)]

    @property
    def commands(self) -> list[Event]:
        return self.told(TierCommand, "tiering")

    def path(self, one: InstanceReceived | None = None) -> str:
        if one is None:
            return f"/studies/{self.study_uid}"
        uids = one.instance
        return f"/studies/{self.study_uid}/series/{uids.series_uid}/instances/{uids.sop_instance_uid}"


@pytest.fixture
def world(dsn: str) -> World:
    return World(dsn)


@pytest.fixture
def client(world: World) -> Iterator[Client]:
    with running_gateway(world.dsn, world.log, world.hospital.store) as client:
        yield client


def get(client: Client, path: str, accept: str = FILES) -> requests.Response:
    return requests.get(f"{client.root}{path}", headers={"accept": accept}, timeout=120)


def test_each_resource_says_when_it_is_expected_and_one_restore_is_asked_for(world: World, client: Client) -> None:
    one = world.path(world.images[0])
    asked = [
        (world.path(), FILES),
        (one.partition("/instances")[0], FILES),
        (one, FILES),
        (f"{one}/frames/1", FRAMES),
        (f"{one}/rendered", "image/png"),
        (f"{one}/metadata", "application/dicom+json"),
        (f"{one}/bulkdata/7FE00010", "application/octet-stream"),
    ]
    for path, accept in asked:
        answer = get(client, path, accept)
        assert answer.status_code == 202, path
        assert 0 < int(answer.headers["retry-after"]) <= RESTORE_S
        left = datetime.fromisoformat(answer.json()["expected_at"]) - datetime.now(UTC)
        assert timedelta() < left <= timedelta(seconds=RESTORE_S)
    (command,) = world.commands
    assert isinstance(command, TierCommand)
    assert (command.ask, command.study_uid, command.actor) == ("restore", world.study_uid, "127.0.0.1")
    (audit,) = [event for event in world.told(AuditEvent) if isinstance(event, AuditEvent)]
    assert (audit.action, audit.meta.subject) == ("restore_asked", world.study_uid)
    assert world.told(AccessRead) == [], "nobody has read anything"
    assert client.find("/studies", StudyInstanceUID=world.study_uid).json()[0]["00080056"]["Value"] == ["NEARLINE"]


def test_who_asks_for_the_head_alone_has_nothing_restored(world: World, client: Client) -> None:
    """Before, most of it was 200, as if it were there."""
    one = world.path(world.images[0])
    series = one.partition("/instances")[0]
    some = (world.path(), series, one, f"{one}/frames/1", f"{one}/pixeldata", f"{one}/rendered", f"{one}/thumbnail")
    for path in (*some, f"{one}/bulkdata/7FE00010", *(f"{path}/metadata" for path in some[:3])):
        assert head(client, path) == 503, path
    assert world.commands == []


def test_who_asks_for_the_head_hears_what_a_kept_header_alone_gives(world: World, client: Client) -> None:
    there = list(restored(world.hospital, world.images, "planned", "copied", "verified", "switched"))
    one = world.path(world.images[0])
    for path in (one, f"{one}/frames/1", f"{one}/bulkdata/7FE00010", f"{one}/metadata"):
        assert head(client, path) == 200, path
    assert get(client, f"{world.path()}/metadata", "application/dicom+json").status_code == 200
    for each in world.images:
        world.hospital.store.delete(structs.replace(each.object, version_id=found_version(world, each)))
    assert len(there) == 4
    for path in (world.path(), f"{one}/metadata"):
        status = get(client, path, "*/*").status_code
        assert head(client, path) == (503 if status == 202 else status), path


def head(client: Client, path: str) -> int:
    return requests.head(f"{client.root}{path}", headers={"accept": "*/*"}, timeout=120).status_code


def test_a_hundred_readers_at_once_ask_once(world: World, client: Client) -> None:
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: get(client, world.path()).status_code, range(100)))
    assert set(answers) == {202}
    assert len(world.commands) == 1


def test_while_it_is_restored_the_time_is_what_restores_took_and_nothing_is_asked(world: World, client: Client) -> None:
    world.restore("planned", "copied", "verified", "switched", ago=timedelta(seconds=200))
    # It went down again, and is wanted again.
    for one in world.images:
        world.hospital.store.delete(structs.replace(one.object, version_id=found_version(world, one)))
    world.restore("planned", first=13, ago=timedelta(seconds=50))
    answer = get(client, world.path())
    assert answer.status_code == 202
    assert 100 < int(answer.headers["retry-after"]) <= 150
    assert world.commands == []


def found_version(world: World, one: InstanceReceived) -> str | None:
    found = world.hospital.store.find(TENANT, "hot", one.object.key)
    return None if found is None else found.ref.version_id


def test_once_it_is_there_it_is_sent_also_before_the_catalog_has_read_of_it(world: World, client: Client) -> None:
    assert get(client, world.path()).status_code == 202
    gone = restored(world.hospital, world.images, "planned", "copied", "verified", "switched")
    there = list(gone)
    answer = get(client, world.path())
    assert (answer.status_code, answer.content.count(b"DICM")) == (200, 2)
    world.tell(there)
    answer = get(client, world.path(), 'multipart/related; type="application/dicom"')
    assert answer.status_code == 200
    assert client.find("/studies", StudyInstanceUID=world.study_uid).json()[0]["00080056"]["Value"] == ["ONLINE"]
    (read,) = [event for event in world.told(AccessRead) if isinstance(event, AccessRead)]
    assert read.reads == 2


def test_of_a_study_of_which_some_is_there_nothing_is_sent_but_that_alone(world: World, client: Client) -> None:
    late = world.image()
    world.tell([late, world.validated(late)])
    assert get(client, world.path()).status_code == 202
    assert get(client, world.path(late)).status_code == 200
    assert get(client, f"{world.path(late)}/frames/1", FRAMES).status_code == 200


def test_a_header_that_is_kept_is_shown_while_the_rest_is_archived(world: World, client: Client) -> None:
    there = list(restored(world.hospital, world.images, "planned", "copied", "verified", "switched"))
    assert get(client, f"{world.path()}/metadata", "application/dicom+json").status_code == 200
    for one in world.images:
        world.hospital.store.delete(structs.replace(one.object, version_id=found_version(world, one)))
    assert len(there) == 4
    assert len(get(client, f"{world.path()}/metadata", "application/dicom+json").json()) == 2
    assert get(client, world.path()).status_code == 202


def test_who_waits_for_a_restore_that_the_catalog_is_late_with_hears_of_its_end(world: World) -> None:
    """Behind what the catalog has read, it is there already."""
    world.restore("planned")
    write(world.log, restored(world.hospital, world.images, "copied", "verified", "switched", first=10, move=9))
    sections = {
        "site": {"tenant": TENANT, "site": SITE},
        "store": {"endpoint": "none", "buckets": {"cold": "cold", "backup": "backup"}, "archived": ["cold", "backup"]},
        "catalog": {"dsn": world.dsn, "http_port": 0},
    }
    said: list[str] = []
    config = Config(Path("none"), "", sections)
    waiting = threading.Thread(
        target=lambda: said.append(bring_back(config, world.log, world.study_uid, wait=True).state), daemon=True
    )
    waiting.start()
    wait_until(lambda: said, "the end of the restore")
    assert said == ["restored"]


def test_a_restore_that_failed_is_said_and_not_begun_again_at_once(world: World, client: Client) -> None:
    world.restore("planned", "abandoned")
    answer = get(client, world.path())
    assert answer.status_code == 503
    assert 500 < int(answer.headers["retry-after"]) <= 600
    assert "could not be restored" in answer.json()["title"]
    assert world.commands == []


def test_while_the_log_takes_nothing_nothing_is_promised_and_who_asks_again_is_served(
    world: World, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise LogAway("the log does not answer")

    with monkeypatch.context() as patched:
        patched.setattr(Restoring, "_write", away)
        answer = get(client, world.path())
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert world.commands == []
    assert get(client, world.path()).status_code == 202
    assert len(world.commands) == 1


def test_a_log_that_hangs_keeps_nobody_waiting_who_reads(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does one who asks for the archive wait behind all others that do: they are told to come again."""
    monkeypatch.setattr(asking, "_AT_ONCE", 1)
    hangs, goes_on = threading.Event(), threading.Event()

    def write_slowly(*_: object) -> None:
        hangs.set()
        goes_on.wait(600)

    monkeypatch.setattr(Restoring, "_write", write_slowly)
    late = world.image()
    world.tell([late, world.validated(late)])
    with (
        running_gateway(world.dsn, world.log, world.hospital.store, workers=1) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(get, client, world.path())
        try:
            assert hangs.wait(180)
            assert get(client, world.path(late)).status_code == 200
            refused = get(client, world.path(world.images[0]))
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "2")
        finally:
            goes_on.set()
        assert waiting.result().status_code == 202


def test_what_is_in_no_store_that_the_catalog_knows_is_503_as_before(world: World, client: Client) -> None:
    gone = world.image()
    world.tell([gone, world.validated(gone)])
    world.hospital.store.delete(gone.object)
    assert get(client, world.path(gone)).status_code == 503
    assert get(client, f"{world.path(gone)}/metadata", "application/dicom+json").status_code == 503
    assert world.commands == []
    assert world.told(AccessRead) == [], "nobody has read anything"


def test_a_retrieve_by_dimse_starts_a_restore_and_warns(world: World) -> None:
    late = world.image()
    world.tell([late, world.validated(late)])
    stored = [(CT, EXPLICIT_VR_LITTLE_ENDIAN)]
    site = Site(tenant=TENANT, site=SITE)
    with running_retrieve(world.dsn, world.hospital.store, world.log, site) as peer:
        _, (found,) = peer.find(keys("STUDY", StudyInstanceUID=world.study_uid, InstanceAvailability=None))
        assert found.InstanceAvailability == "NEARLINE"
        last, got = peer.get(keys("STUDY", StudyInstanceUID=world.study_uid), stored, STUDY_GET)
        assert (last.Status, len(got)) == (0xB000, 1)
        assert (last.NumberOfCompletedSuboperations, last.NumberOfFailedSuboperations) == (1, 2)
        assert last.ErrorComment == "being restored, expected in 10 min; ask again then"
        (command,) = world.commands
        assert isinstance(command, TierCommand)
        assert (command.ask, command.study_uid) == ("restore", world.study_uid)
        world.restore("planned", "copied", "verified", "switched")
        last, got = peer.get(keys("STUDY", StudyInstanceUID=world.study_uid), stored, STUDY_GET)
        assert (last.Status, len(got)) == (0x0000, 3)


def test_the_page_says_how_a_restore_stands_and_has_a_button_for_one(world: World, client: Client) -> None:
    root = client.root.removesuffix(DICOMWEB)
    page = f"{root}/study/{world.study_uid}"

    def shown() -> str:
        return requests.get(page, timeout=120).text

    def pressed(**headers: str) -> int:
        return requests.post(f"{page}/restores", headers=headers, allow_redirects=False, timeout=120).status_code

    assert "2 images in the archive" in shown()
    assert (pressed(), pressed(origin="https://evil.example")) == (403, 403)
    assert world.commands == []
    assert pressed(origin=root) == 303
    assert len(world.commands) == 1
    world.restore("planned")
    assert "being restored, expected at" in shown()
    assert "/restores" not in shown()
    world.restore("abandoned", first=10)
    assert "could not be restored at" in shown()
    assert pressed(origin=root) == 503
    world.restore("planned", "copied", "verified", "switched", first=11)
    assert "archive" not in shown().partition("</main>")[0].partition("series-title")[0]


@pytest.mark.parametrize(
    ("taken_s", "expected_s"),
    [
        ([], 600.0),
        ([30.0], 30.0),
        ([float(second) for second in range(1, 21)], 18.0),
        ([0.001], 1.0),
        ([1e9], RESTORE_S_MAX),
    ],
)
def test_what_is_expected_is_what_nine_in_ten_took_within_bounds(taken_s: list[float], expected_s: float) -> None:
    assert restores.estimate(taken_s, RESTORE_S) == expected_s


def test_a_restore_is_open_work_until_readers_are_sent_to_it(world: World) -> None:
    seen = []
    for first, phase in enumerate(("planned", "copied", "verified", "switched"), start=9):
        world.tell(restored(world.hospital, world.images, phase, first=first))
        with snapshot(world.dsn) as cursor:
            seen.append(open_work(cursor)["moves under way"])
    assert seen == [1, 1, 1, 0]


def test_what_restores_took_is_counted_from_their_plan(world: World) -> None:
    world.restore("planned", "copied", "verified", "switched", ago=timedelta(seconds=90))
    with snapshot(world.dsn) as cursor:
        assert 89 < restores.expected_s(cursor, TENANT, RESTORE_S) < 100
        last = restores.newest(cursor, TENANT, world.study_uid)
    assert last is not None
    assert not last.is_under_way
    assert any(isinstance(event, TierMoved) for event in world.told(TierMoved))
