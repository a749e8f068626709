"""What the gateway remembers of a study it asks no more, and nothing that may not be shown is ever shown out of it."""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import msgspec
import pytest
import requests

from consumers.catalog.database import Writer
from consumers.catalog.rebuild import Rebuild
from consumers.catalog.summarizing import refresh_all
from gateway.dicomweb import preparing, shown
from gateway.dicomweb.served import Asked, ask
from streams import part10
from streams.events import InstanceReceived, ObjectRef
from streams.identity import original_key
from streams.memory_store import MemoryStore
from streams.objects import Damaged
from streams.step import NewObject
from tests.catalogs import projected, rows
from tests.event_streams import TENANT, Hospital, new_log, write
from tests.gateways import Client, running_gateway
from tests.quarantine_events import assessed_as_strange, decided
from tests.routers import Ct
from tests.stow import file_of
from tests.waiting import wait_until

FRAME = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
SLICES = 6
BITS = {0x00280100: (b"US", struct.pack("<H", 16))}


class CountingStore(MemoryStore):
    """Knows what was read of it, and may have what a disk hurt."""

    def __init__(self) -> None:
        super().__init__()
        self.read_digests: list[str] = []
        self.read_beginnings: list[str] = []
        self.hurt: set[str] = set()
        self.hurt_beginnings: set[str] = set()
        self._counting = threading.Lock()

    def read(self, ref: ObjectRef) -> bytes:
        with self._counting:
            self.read_digests.append(ref.sha256)
        if ref.sha256 in self.hurt:
            raise Damaged(ref.key)
        return super().read(ref)

    def read_range(self, ref: ObjectRef, start: int, length: int) -> bytes:
        with self._counting:
            self.read_beginnings.append(ref.sha256)
        data = super().read_range(ref, start, length)
        return data.replace(b"Doe^Jane", b"Doe^June") if ref.sha256 in self.hurt_beginnings else data


class Archive:
    """One series of slices, in a catalog and a store."""

    def __init__(self, dsn: str) -> None:
        self.dsn, self.log, self.store = dsn, new_log(), CountingStore()
        self.hospital = Hospital(store=self.store)
        self.study, self.series = self.hospital.uid(), self.hospital.uid()
        self.images = [self.image(number) for number in range(SLICES)]
        self.take(*(said for one in self.images for said in self.valid(one)))

    def image(self, number: int, uid: str | None = None, mark: int = 0) -> InstanceReceived:
        event = self.hospital.received(self.study, self.series, {}, number=number + 1, sop_instance_uid=uid)
        uids = event.instance
        pixels = struct.pack("<64H", *[1000 * mark + number] * 64)
        data = file_of(Ct(uids.study_uid, uids.series_uid, uids.sop_instance_uid, pixels=pixels, more=BITS))
        digest = hashlib.sha256(data).hexdigest()
        key = original_key(TENANT, uids.study_uid, uids.series_uid, uids.sop_instance_uid, digest)
        ref = self.store.create(NewObject(TENANT, "hot", key, data)).ref
        return msgspec.structs.replace(
            event,
            meta=self.hospital.meta("dicom_router", digest),
            instance=msgspec.structs.replace(uids, digest=digest),
            object=ref,
        )

    def valid(self, image: InstanceReceived) -> Sequence[Any]:
        """With what validate says of the header, by which it is read alone."""
        proof = part10.metadata_sha256(part10.read(MemoryStore.read(self.store, image.object)))
        validated = msgspec.structs.replace(self.hospital.validated(image), metadata_sha256=proof)
        return image, validated, self.hospital.derived(image)

    def take(self, *events: Any, summarized: bool = True) -> None:
        write(self.log, events)
        projected(self.dsn, self.log, self.hospital)
        if summarized:
            self.summarize()

    def summarize(self) -> None:
        with closing(Writer(self.dsn)) as writer:
            refresh_all(writer)


@pytest.fixture
def archive(dsn: str) -> Archive:
    return Archive(dsn)


@pytest.fixture
def client(archive: Archive) -> Iterator[Client]:
    with running_gateway(archive.dsn, archive.log, archive.store) as client:
        yield client


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """What the catalog was asked in full."""
    asked: list[Asked] = []

    async def counted(parts: Any, wanted: Asked) -> Any:
        asked.append(wanted)
        return await ask(parts, wanted)

    monkeypatch.setattr(shown, "ask", counted)
    return asked


def frame(client: Client, image: InstanceReceived, **headers: str) -> requests.Response:
    uids = image.instance
    path = f"/studies/{uids.study_uid}/series/{uids.series_uid}/instances/{uids.sop_instance_uid}/frames/1"
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(f"{client.root}{path}", headers={"accept": FRAME, **said}, timeout=120)


def value_of(answer: requests.Response) -> int:
    """The first sample of a slice, of which all are alike."""
    assert answer.status_code == 200, answer.text
    body = answer.content.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0]
    assert len(body) == 128
    return int(struct.unpack_from("<H", body)[0])


def metadata(client: Client, archive: Archive) -> list[str]:
    answer = client.find(f"/studies/{archive.study}/series/{archive.series}/metadata")
    return [one["00080018"]["Value"][0] for one in answer.json()] if answer.status_code == 200 else []


def files(client: Client, archive: Archive) -> requests.Response:
    path = f"{client.root}/studies/{archive.study}/series/{archive.series}"
    return client.get(path, headers={"accept": FILES}, timeout=120)


def test_an_opened_series_is_asked_for_once(archive: Archive, client: Client, questions: list[Asked]) -> None:
    assert len(metadata(client, archive)) == SLICES
    for _ in range(2):
        assert [value_of(frame(client, one)) for one in archive.images] == list(range(SLICES))
    assert questions == [Asked(archive.study, archive.series)]


def test_a_series_that_is_looked_through_without_being_opened_is_asked_for_too(
    archive: Archive, client: Client, questions: list[Asked]
) -> None:
    for one in archive.images[:2]:
        value_of(frame(client, one))
    wait_until(lambda: Asked(archive.study, archive.series) in questions, "the series to be asked for")
    wait_until(lambda: asks_nothing(client, archive.images[2], questions), "its answer")
    before = len(questions)
    assert [value_of(frame(client, one)) for one in archive.images] == list(range(SLICES))
    assert len(questions) == before


def asks_nothing(client: Client, image: InstanceReceived, questions: list[Asked]) -> bool:
    before = len(questions)
    value_of(frame(client, image))
    return len(questions) == before


@pytest.mark.parametrize("summarized", [False, True])
def test_what_is_held_between_two_frames_is_shown_no_more(
    archive: Archive, client: Client, questions: list[Asked], summarized: bool
) -> None:
    held, other = archive.images[2:4]
    assert len(metadata(client, archive)) == SLICES
    tag = frame(client, held).headers["etag"]
    assert frame(client, held, if_none_match=tag).status_code == 304
    assert len(questions) == 1, "so that it is memory that is looked at"
    archive.take(assessed_as_strange(archive.hospital, held), summarized=summarized)
    assert frame(client, held).status_code == 404
    assert frame(client, held, if_none_match=tag).status_code == 404
    assert value_of(frame(client, other)) == 3
    assert held.instance.sop_instance_uid not in metadata(client, archive)
    assert held.instance.sop_instance_uid.encode() not in files(client, archive).content
    if not summarized:
        archive.summarize()
        assert frame(client, held).status_code == 404
    release = decided(archive.hospital, held, code="contradicts_patient")
    archive.take(release, archive.hospital.validated(held), summarized=summarized)
    assert value_of(frame(client, held)) == 2
    assert len(metadata(client, archive)) == SLICES


def test_the_last_image_of_a_study_is_held_and_comes_back(archive: Archive, client: Client) -> None:
    assert len(metadata(client, archive)) == SLICES
    archive.take(*(assessed_as_strange(archive.hospital, one) for one in archive.images))
    assert [frame(client, one).status_code for one in archive.images] == [404] * SLICES
    assert metadata(client, archive) == []
    archive.take(decided(archive.hospital, archive.images[0], code="contradicts_patient"))
    assert value_of(frame(client, archive.images[0])) == 0
    assert frame(client, archive.images[1]).status_code == 404


def test_another_content_under_the_same_uid_takes_the_place_of_a_rejected_one(archive: Archive, client: Client) -> None:
    first = archive.images[1]
    assert len(metadata(client, archive)) == SLICES
    second = archive.image(1, first.instance.sop_instance_uid, mark=1)
    archive.take(*archive.valid(second))
    assert value_of(frame(client, first)) == 1
    archive.take(decided(archive.hospital, first, "rejected", code="contradicts_patient"))
    assert value_of(frame(client, first)) == 1001


def test_an_image_that_arrives_is_there(archive: Archive, client: Client) -> None:
    assert len(metadata(client, archive)) == SLICES
    late = archive.image(SLICES)
    archive.take(*archive.valid(late), summarized=False)
    assert value_of(frame(client, late)) == SLICES
    assert late.instance.sop_instance_uid in metadata(client, archive)


def test_the_slices_that_follow_are_read_before_they_are_asked_for(archive: Archive, client: Client) -> None:
    assert len(metadata(client, archive)) == SLICES
    following = [one.instance.digest for one in archive.images[1:5]]
    value_of(frame(client, archive.images[0]))
    wait_until(lambda: set(following) <= set(archive.store.read_digests), "the next four slices")
    assert [value_of(frame(client, one)) for one in archive.images] == list(range(SLICES))
    images = {one.instance.digest for one in archive.images}
    assert sorted(one for one in archive.store.read_digests if one in images) == sorted(images), "and each once"


def test_a_series_comes_whole_and_says_its_length(archive: Archive, client: Client) -> None:
    answer = files(client, archive)
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    boundary = answer.headers["content-type"].rpartition("boundary=")[2].encode()
    pieces = answer.content.split(b"--" + boundary)[1:-1]
    found = [hashlib.sha256(one.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")).hexdigest() for one in pieces]
    assert found == [one.instance.digest for one in archive.images]


def test_a_series_with_a_damaged_file_is_cut_short(archive: Archive, client: Client) -> None:
    archive.store.hurt.add(archive.images[3].instance.digest)
    with pytest.raises(requests.exceptions.RequestException):
        files(client, archive)
    assert frame(client, archive.images[3]).status_code == 502
    assert value_of(frame(client, archive.images[4])) == 4


def test_metadata_of_a_damaged_header_are_made_of_the_whole_of_another_copy_or_not_at_all(
    archive: Archive, client: Client
) -> None:
    path = f"/studies/{archive.study}/series/{archive.series}/metadata"
    archive.store.hurt_beginnings.add(archive.images[2].instance.digest)
    for _ in range(2):
        assert "Doe^June" not in client.find(path).text
    assert value_of(frame(client, archive.images[2])) == 2


def test_a_connection_that_is_lost_takes_the_memory_with_it(
    archive: Archive, client: Client, questions: list[Asked]
) -> None:
    assert len(metadata(client, archive)) == SLICES
    assert value_of(frame(client, archive.images[0])) == 0
    assert len(questions) == 1
    others = "datname = current_database() AND pid <> pg_backend_pid()"
    rows(archive.dsn, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
    assert value_of(frame(client, archive.images[0])) == 0
    assert len(questions) > 1
    archive.take(assessed_as_strange(archive.hospital, archive.images[0]))
    assert frame(client, archive.images[0]).status_code == 404


def test_tables_that_were_built_anew_are_another_state(
    archive: Archive, client: Client, questions: list[Asked]
) -> None:
    assert len(metadata(client, archive)) == SLICES
    assert Rebuild(archive.dsn, archive.log, archive.hospital.blocks, lambda *_: None).run(switch=True).switched
    assert [value_of(frame(client, one)) for one in archive.images] == list(range(SLICES))
    assert len(questions) > 1
    archive.take(assessed_as_strange(archive.hospital, archive.images[0]))
    assert frame(client, archive.images[0]).status_code == 404


def test_what_was_read_before_anybody_asked_is_shown_only_where_it_may_be(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = threading.Event()
    bounds = archive.log.bounds

    def counted(names: Any) -> Any:
        found = bounds(names)
        looked.set()
        return found

    monkeypatch.setattr(archive.log, "bounds", counted)
    monkeypatch.setattr(preparing, "LOOK_S", 0.05)
    with running_gateway(archive.dsn, archive.log, archive.store) as client:
        assert looked.wait(60.0)
        seen, held = archive.image(SLICES), archive.image(SLICES + 1)
        archive.take(*archive.valid(seen), *archive.valid(held))
        archive.take(assessed_as_strange(archive.hospital, held))
        both = {seen.instance.digest, held.instance.digest}
        wait_until(lambda: both <= set(archive.store.read_beginnings), "both headers")
        archive.store.hurt_beginnings |= both
        shown_ones = metadata(client, archive)
        assert seen.instance.sop_instance_uid in shown_ones
        assert held.instance.sop_instance_uid not in shown_ones
        assert archive.store.read_beginnings.count(seen.instance.digest) == 1
