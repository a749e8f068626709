"""Bucket, spool and log against each other: what a crash left is named, and gets its event once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from producers.dicom_router.archive import STEP, Archive, Receipt
from producers.dicom_router.data_set import StoredFile
from producers.dicom_router.header import read_header
from producers.dicom_router.lanes import Lanes
from producers.dicom_router.outside_rules import NOTHING_OUTSIDE, OutsideRules
from producers.dicom_router.reconciling.announced import Announcing
from producers.dicom_router.reconciling.reconciling import Kind, Reconciling
from schemas import load_topics
from streams import reading_large, tracing
from streams.clock import SystemClock
from streams.config import Site
from streams.events import InstanceReceived
from streams.generation import of_facts
from streams.identity import original_key, uid_of_event
from streams.log import Log, TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.objects import Listed
from streams.protected import ProtectedBlocks
from streams.routes.routes import load
from streams.step import NewObject
from streams.stored_file import stored_file
from streams.wire import SchemaIds, decode
from tests.hooked_log import Crash, HookedLog, Hooks
from tests.large_objects import full
from tests.routers import CT, EXPLICIT, Ct, RandomKeys, memory_log, running_router

SITE = Site(tenant="t", site="here")
EVENT = "0f6b2b58-6d8c-5c1e-9a41-7c2f8e6b9d10"


def file_of(image: Ct, sop_class: str = CT) -> bytes:
    return stored_file(sop_class, image.instance, EXPLICIT, image.data_set())


@dataclass
class World:
    """A site without a router, and what one left."""

    folder: Path
    log: MemoryLog = field(default_factory=memory_log)
    store: MemoryStore = field(default_factory=MemoryStore)
    keys: RandomKeys = field(default_factory=RandomKeys)
    outside: OutsideRules = NOTHING_OUTSIDE
    runs: int = 0
    last: Reconciling = field(init=False)

    def put(self, data: bytes, image: Ct, store: str = "hot", digest: str = "") -> str:
        """The object of an image, without its event; its key."""
        digest = digest or hashlib.sha256(data).hexdigest()
        key = original_key("t", image.study, image.series, image.instance, digest)
        self.store.create(NewObject("t", store, key, data))
        return key

    def archive(self) -> Archive:
        return Archive(
            site=SITE,
            store=self.store,
            producer=self.log.producer(),
            ids=SchemaIds(),
            blocks=self.blocks(),
            clock=SystemClock(),
            identity=of_facts(STEP),
            lanes=Lanes({}),
            source="radstream/t/here/reconcile",
            commit_timeout_s=5.0,
            outside_rules=self.outside,
        )

    def blocks(self) -> ProtectedBlocks:
        return ProtectedBlocks(self.store, self.keys, "t")

    def run(
        self, *, publish: bool = False, spooled: frozenset[str] = frozenset(), until: datetime | None = None
    ) -> dict[str, Kind]:
        """What differs, by key."""
        self.runs += 1
        folder = self.folder / str(self.runs)
        folder.mkdir()
        archive = self.archive() if publish else None
        until = until or datetime.now(UTC) + timedelta(seconds=1)
        self.last = Reconciling(self.log, self.store, "t", spooled, until, folder, archive)
        return {one.key: one.kind for one in self.last.run()}

    def received(self) -> list[InstanceReceived]:
        topics = load_topics().physical("imaging.instance.received")
        names = [TopicPartition(topic, number) for topic in topics for number in range(3)]
        records = [r for name, (first, end) in self.log.bounds(names).items() for r in self.log.read(name, first, end)]
        return [event for record in records if isinstance(event := decode(record), InstanceReceived)]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_an_original_without_an_event_gets_the_one_that_the_router_would_have_written(world: World) -> None:
    image = Ct()
    with running_router() as router:
        router.send(image.item())
        (sent,) = router.received()
    key = world.put(file_of(image), image)

    assert world.run() == {key: "unpublished"}
    assert world.received() == [], "without --publish nothing is written"
    assert world.run(publish=True) == {key: "published"}
    (event,) = world.received()
    assert (event.meta.event_id, event.instance, event.technical) == (
        sent.meta.event_id,
        sent.instance,
        sent.technical,
    )
    assert event.object.key == key == sent.object.key
    assert (event.source.protocol, event.source.calling_ae, event.source.association) == ("reconcile", "", "")
    assert {ref.level: world.blocks().read(ref) for ref in event.protected} == {
        "study": {"PatientName": "Doe^Jane", "PatientID": "MRN-4711", "StudyDescription": "Chest of a patient"},
        "series": {"SeriesDescription": "Lung window"},
    }
    assert world.run(publish=True) == {}
    assert len(world.received()) == 1, "a second run publishes nothing"


def test_what_is_in_an_archive_is_named_and_not_taken_for_gone(world: World) -> None:
    image = Ct()
    key = world.put(file_of(image), image)
    world.store.asleep.add(("hot", key))
    assert world.run(publish=True) == {key: "unpublished"}
    world.store.asleep.clear()
    assert world.run(publish=True) == {key: "published"}


def test_what_there_is_no_disk_for_is_named_and_the_others_get_their_events(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = Ct(), Ct(instance="1.2.9.1.9", pixels=bytes(2000))
    keys = [world.put(file_of(image), image) for image in (large, small)]
    monkeypatch.setattr(reading_large, "LARGE_BYTES", len(file_of(small)))
    world.store.objects_folder = full(world.folder)
    assert world.run(publish=True) == dict(zip(keys, ("unpublished", "published"), strict=True))
    world.store.objects_folder = world.folder / "large"
    assert world.run(publish=True) == {keys[0]: "published"}


def test_what_may_be_another_hospitals_is_not_published_as_ours(world: World) -> None:
    """Only its sender said whose its patient ID is: without that it would be shown as of our patient of that number."""
    image = Ct()
    key = world.put(file_of(image), image)
    rules = world.folder / "rules.toml"
    rules.write_text('[[rules]]\nname = "discs"\nmatch.calling_ae = "CD*"\noutside = "ST-MARY"\n')
    world.outside = OutsideRules(load(rules).rules)
    assert world.run(publish=True) == {key: "unpublished"}
    assert world.received() == []


def test_what_cannot_name_its_study_is_found_under_its_digest(world: World) -> None:
    image = Ct(study="not a UID")
    data = file_of(image)
    key = world.put(data, image)
    assert key.startswith("t/unkeyed/")
    assert world.run(publish=True) == {key: "published"}
    (event,) = world.received()
    assert (event.instance.study_uid, event.instance.sop_instance_uid) == ("", image.instance)


def test_the_router_is_killed_between_the_object_and_its_event(world: World) -> None:
    def dies(_: object) -> None:
        raise Crash

    image = Ct()
    with pytest.raises(Crash):
        arrive(world, image, HookedLog(world.log, "", Hooks(before_send=dies)))
    assert world.received() == []
    (key,) = world.run(publish=True)
    assert [event.object.key for event in world.received()] == [key]
    assert world.run(publish=True) == {}


def test_a_router_that_commits_the_same_image_makes_a_record_and_no_event_more(world: World) -> None:
    image = Ct()
    world.put(file_of(image), image)
    world.run(publish=True)
    arrive(world, image, world.log)
    ours, routers = world.received()
    assert ours.meta.event_id == routers.meta.event_id
    assert ours.object == routers.object
    assert world.run() == {}


@pytest.mark.parametrize(
    "left", [b"", b"the beginning", file_of(Ct(pixels=b"others"))], ids=["nothing", "a part", "other"]
)
def test_bytes_that_are_not_those_of_their_key_are_told_of_and_never_published(world: World, left: bytes) -> None:
    image = Ct()
    key = world.put(left, image, digest=hashlib.sha256(file_of(image)).hexdigest())
    assert world.run(publish=True) == {key: "damaged"}
    assert world.received() == []


def test_what_is_no_image_of_ours_is_told_of_and_never_published(world: World) -> None:
    image = Ct()
    misplaced = world.put(file_of(image), replace(image, study="1.2.999"))
    headless = world.put(image.data_set(), image)
    foreign = "t/notes/readme.txt"
    report = replace(
        image,
        sop_class="1.2.840.10008.5.1.4.1.1.88.34",
        instance=uid_of_event(EVENT),
        more={0x00080070: (b"LO", b"radstream")},
    )
    made = world.put(file_of(report, report.sop_class), report)
    for key in (foreign, "t/derived/x", "t/protected/x", "t/checkpoints/x/1", "t/commitment/x/1.turn"):
        world.store.create(NewObject("t", "hot", key, b"x"))
    assert world.run(publish=True) == {
        misplaced: "misplaced",
        headless: "misplaced",
        foreign: "foreign",
        made: "made",
    }
    assert world.received() == []


def test_an_event_whose_object_is_in_no_store_is_a_loss(world: World) -> None:
    moved, gone = Ct(), Ct(instance="1.2.3.4.6")
    for image in (moved, gone):
        arrive(world, image, world.log)
    refs = {event.instance.sop_instance_uid: event.object for event in world.received()}
    for image in (moved, gone):
        world.store.delete(refs[image.instance])
    world.put(file_of(moved), moved, store="warm")
    assert world.run(publish=True) == {refs[gone.instance].key: "lost"}
    assert len(world.received()) == 2


class MovingStore(MemoryStore):
    """Lists no original: each is always in a store that was listed before, or will be."""

    def listed(self, store: str, prefix: str) -> Iterator[Listed]:
        return (one for one in super().listed(store, prefix) if not one.key.endswith(".dcm"))


def test_a_copy_that_moves_between_the_listings_is_not_lost(tmp_path: Path) -> None:
    world = World(tmp_path, store=MovingStore())
    arrive(world, Ct(), world.log)
    assert world.run() == {}


def test_what_may_be_on_its_way_is_not_meant(world: World) -> None:
    young = Ct()
    key = world.put(file_of(young), young)
    assert world.run(publish=True, until=datetime.now(UTC) - timedelta(minutes=15)) == {}
    assert world.last.counts.in_flight == 1
    digest = key.rpartition("/")[2].removesuffix(".dcm")
    assert world.run(publish=True, spooled=frozenset({digest, "f" * 64})) == {}
    assert (world.last.counts.on_spool, world.last.counts.spool_and_log) == (2, 0)

    arrive(world, young, world.log)
    assert world.run(spooled=frozenset({digest})) == {}
    assert (world.last.counts.on_spool, world.last.counts.spool_and_log) == (0, 1)


def test_other_tenants_are_left_alone(world: World) -> None:
    arrive(world, Ct(), world.log)
    (event,) = world.received()
    world.store.create(NewObject("u", "hot", f"u{event.object.key.removeprefix('t')}", b"x"))
    assert world.run(publish=True) == {}
    assert world.last.counts.objects == 3, "the original and its two blocks"


def test_a_million_names_would_be_found_the_same_way(tmp_path: Path) -> None:
    """Enough for every part, duplicates among them, and what was not announced between all of them."""
    announcing = Announcing(tmp_path)
    names = [TopicPartition(topic, 0) for topic in ("a", "b")]
    for number in range(5000):
        announcing.add(f"key-{number}", names[number % 2], number)
    for number in range(0, 5000, 7):
        announcing.add(f"key-{number}", names[0], 10_000 + number)
    announced = announcing.sorted()
    assert len(announced) == 5000
    assert not any(announced.see(f"other-{number}") for number in range(5000))
    assert all(announced.see(f"key-{number}") for number in range(5000) if number % 1000)
    assert sorted(announced.unseen(), key=lambda one: one[1]) == [(names[0], number) for number in range(0, 5000, 1000)]
    announced.close()


@dataclass(frozen=True)
class Asked:
    """A C-STORE request."""

    transfer_syntax_uid: str = EXPLICIT
    protocol: str = "DIMSE"
    calling_ae: str = "SCANNER"
    called_ae: str = "RADSTREAM"
    association: str = "0123"
    preamble: str = ""


def arrive(world: World, image: Ct, log: Log) -> None:
    """The router's own commit."""
    data = file_of(image)
    archive = replace(world.archive(), producer=log.producer())
    header = read_header(image.data_set(), EXPLICIT)
    file = StoredFile(data, hashlib.sha256(data).hexdigest())
    archive.keep(Asked(), header, file, Receipt(datetime.now(UTC), "stat", tracing.new_root()))
