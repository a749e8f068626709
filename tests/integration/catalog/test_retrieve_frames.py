"""Frames of what was copied, of what is large, and of video: each has its own bytes, and is read once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
import requests
from msgspec import structs

from consumers.catalog.database import Writer
from consumers.catalog.summarizing import refresh_all
from gateway import reading
from streams import part10
from streams.events import FrameRange, InstanceDerived, InstanceReceived, ObjectRef, Representation
from streams.identity import derived_key
from streams.memory_store import MemoryStore
from streams.step import NewObject
from tests.catalogs import projected
from tests.event_streams import TENANT, Hospital, new_log, write
from tests.gateways import Client, running_gateway
from tests.images import compressed, native
from tests.waiting import wait_until

HTJ2K = "1.2.840.10008.1.2.4.201"
JPEG2000 = "1.2.840.10008.1.2.4.90"
MPEG4 = "1.2.840.10008.1.2.4.102"
ANY_OCTETS = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'


class CountingStore(MemoryStore):
    """Knows what was read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.read_digests: list[str] = []
        self.ranges_read = 0
        # What it gives only when it may.
        self.waits_with, self.may_answer = "", threading.Event()
        self._counting = threading.Lock()

    def read(self, ref: ObjectRef) -> bytes:
        with self._counting:
            self.read_digests.append(ref.sha256)
        assert ref.sha256 != self.waits_with or self.may_answer.wait(180.0)
        return super().read(ref)

    def read_range(self, ref: ObjectRef, start: int, length: int) -> bytes:
        with self._counting:
            self.ranges_read += 1
        return super().read_range(ref, start, length)


class Archive:
    """A catalog and a store, and gateways over them."""

    def __init__(self, dsn: str) -> None:
        self.dsn, self.log, self.store = dsn, new_log(), CountingStore()
        self.hospital = Hospital(store=self.store)
        self.study, self.series = self.hospital.uid(), self.hospital.uid()
        self._images = 0

    def image(self, make: Any, syntax: str = "1.2.840.10008.1.2.1") -> InstanceReceived:
        """Received and valid. `make` gives its file, of attributes."""
        self._images += 1
        event = self.hospital.received(self.study, self.series, {}, number=self._images)
        uids = event.instance
        file = make(
            StudyInstanceUID=uids.study_uid, SeriesInstanceUID=uids.series_uid, SOPInstanceUID=uids.sop_instance_uid
        )
        digest = hashlib.sha256(file).hexdigest()
        ref = self.store.create(NewObject(TENANT, "hot", event.object.key.replace(uids.digest, digest), file)).ref
        uids = structs.replace(uids, digest=digest, transfer_syntax_uid=syntax)
        image = structs.replace(event, meta=self.hospital.meta("dicom_router", digest), instance=uids, object=ref)
        proof = part10.metadata_sha256(part10.read(file))
        self.take(image, structs.replace(self.hospital.validated(image), metadata_sha256=proof))
        return image

    def copy(self, image: InstanceReceived, codestream: bytes, generation: int) -> None:
        """Derive has made a lossless copy of one frame, in that generation."""
        event: InstanceDerived = self.hospital.derived(image, generation)
        before = b"what stands before it"
        key = derived_key(TENANT, event.meta.event_id)
        ref = self.store.create(NewObject(TENANT, "hot", key, before + codestream)).ref
        lossless = Representation(
            kind="lossless",
            media_type="application/dicom",
            rows=8,
            columns=8,
            object=ref,
            transfer_syntax_uid=HTJ2K,
            frames=(FrameRange(offset=len(before), length=len(codestream)),),
        )
        self.take(structs.replace(event, representations=(lossless,)))

    def take(self, *events: Any) -> None:
        write(self.log, events)
        projected(self.dsn, self.log, self.hospital)
        with closing(Writer(self.dsn)) as writer:
            refresh_all(writer)

    def reads_of(self, image: InstanceReceived) -> int:
        return self.store.read_digests.count(image.instance.digest)

    @contextmanager
    def gateway(self, **more: Any) -> Iterator[Client]:
        with running_gateway(self.dsn, self.log, self.store, **more) as client:
            yield client


@pytest.fixture
def archive(dsn: str) -> Archive:
    return Archive(dsn)


def get(client: Client, image: InstanceReceived, path: str = "", **headers: str) -> requests.Response:
    uids = image.instance
    instance = f"/studies/{uids.study_uid}/series/{uids.series_uid}/instances/{uids.sop_instance_uid}"
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.get(f"{client.root}{instance}{path}", headers=said, timeout=120)


def small(**attributes: Any) -> bytes:
    return native(np.arange(64, dtype=np.uint16).reshape(1, 8, 8), **attributes)


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/frames/1", f"image/jphc; transfer-syntax={HTJ2K}"),
        ("/frames/1", f'multipart/related; type="image/jphc"; transfer-syntax={HTJ2K}'),
        ("", f"application/dicom; transfer-syntax={HTJ2K}"),
    ],
)
def test_another_copy_of_the_same_image_has_another_tag(archive: Archive, path: str, accept: str) -> None:
    image = archive.image(small)
    archive.copy(image, b"one codestream", generation=1)
    with archive.gateway() as client:
        tag = get(client, image, path, accept=accept).headers["etag"]
        assert get(client, image, path, accept=accept, if_none_match=tag).status_code == 304
    archive.copy(image, b"another codestream", generation=2)
    with archive.gateway() as client:
        rest = get(client, image, path, accept=accept, range="bytes=4-", if_range=tag)
        assert rest.status_code == 200, "no rest of one is put behind the beginning of the other"
        assert b"another codestream" in rest.content
        assert get(client, image, path, accept=accept, if_none_match=tag).status_code == 200


@pytest.mark.parametrize("accept", [ANY_OCTETS, "application/octet-stream"])
def test_the_slice_beside_it_is_not_read_before_the_one_that_is_asked_for_was_sent(
    archive: Archive, accept: str
) -> None:
    before, asked, behind = (archive.image(small) for _ in range(3))
    series = f"/studies/{archive.study}/series/{archive.series}/metadata"
    with archive.gateway() as client, ThreadPoolExecutor(1) as reader:
        assert len(client.find(series).json()) == 3
        archive.store.read_digests.clear()
        archive.store.waits_with = asked.instance.digest
        answer = reader.submit(get, client, asked, "/frames/1", accept=accept)
        wait_until(lambda: archive.reads_of(asked) == 1, "its read")
        assert get(client, before, "/metadata", accept="application/dicom+json").status_code == 200
        assert archive.store.read_digests == [asked.instance.digest]
        archive.store.may_answer.set()
        assert answer.result(180.0).status_code == 200
        wait_until(lambda: archive.reads_of(behind) == 1, "the next slice")


def test_a_radiograph_is_read_once_for_all_who_look_at_it(archive: Archive) -> None:
    pixels = np.arange(10 << 20, dtype=np.uint32).astype(np.uint16).reshape(1, 2560, 4096)
    image = archive.image(partial(native, pixels))
    with archive.gateway() as client:
        for _ in range(2):
            answer = get(client, image, "/frames/1", accept="application/octet-stream")
            assert answer.status_code == 200
            assert hashlib.sha256(answer.content).digest() == hashlib.sha256(pixels).digest()
    assert archive.reads_of(image) == 1


STREAM = hashlib.shake_256(b"what a camera saw").digest(5 << 20)


def video(archive: Archive, fragments: list[bytes], syntax: str = MPEG4) -> InstanceReceived:
    pixels = np.zeros((3, 8, 8, 3), np.uint8)
    return archive.image(partial(compressed, pixels, fragments, syntax, table=False), syntax)


@pytest.mark.parametrize("fragments", [[STREAM], [STREAM[:1000], STREAM[1000:]]])
@pytest.mark.parametrize("path", ["/bulkdata/7FE00010", "/pixeldata"])
def test_a_video_is_one_payload_of_which_ranges_are_had(archive: Archive, fragments: list[bytes], path: str) -> None:
    image = video(archive, fragments)
    with archive.gateway() as client:
        # As OHIF asks, and what a browser then says of itself.
        asked = partial(get, client, image, f"{path}?accept=video/mp4", accept="*/*")
        answer = asked()
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == f"video/mp4;transfer-syntax={MPEG4}"
        assert (answer.headers["accept-ranges"], answer.headers["content-length"]) == ("bytes", str(len(STREAM)))
        assert answer.content == STREAM
        for said, start, end in (("990-1009", 990, 1010), (f"{4 << 20}-", 4 << 20, 5 << 20), ("-10", -10, None)):
            part = asked(range=f"bytes={said}", if_range=answer.headers["etag"])
            assert part.status_code == 206
            assert part.content == STREAM[start:end]
        assert asked(range=f"bytes={len(STREAM)}-").status_code == 416
        assert asked(if_none_match=answer.headers["etag"]).status_code == 304
        parts = get(client, image, path, accept='multipart/related; type="video/mp4"')
        assert f"content-length: {len(STREAM)}\r\n".encode() in parts.content.lower()[:300]
        assert parts.content.partition(b"\r\n\r\n")[2].rpartition(b"\r\n--")[0] == STREAM
        assert get(client, image, path, accept="image/jpeg").status_code == 406
    assert archive.reads_of(image) == 1


def test_of_a_long_video_no_more_is_read_than_a_player_asks_for(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE_BYTES", len(STREAM) // 2)
    image = video(archive, [STREAM[:1000], STREAM[1000:]])
    with archive.gateway() as client:
        part = get(client, image, "/pixeldata?accept=video/mp4", range="bytes=500-1499")
        assert (part.status_code, part.content) == (206, STREAM[500:1500])
    assert archive.reads_of(image) == 0, "as a whole"


def in_fragments(count: int) -> list[bytes]:
    length = len(STREAM) // count // 2 * 2
    return [STREAM[number * length : (number + 1) * length] for number in range(count)]


def test_the_fragments_of_a_long_video_are_found_many_in_a_read_and_once_for_all_who_ask(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each was found by a read of its own, one after the other, before the first byte was sent."""
    monkeypatch.setattr(reading, "LARGE_BYTES", len(STREAM) // 2)
    fragments = in_fragments(1000)
    image = video(archive, fragments)
    with archive.gateway() as client, ThreadPoolExecutor(4) as players:
        asked = partial(get, client, image, "/pixeldata?accept=video/mp4", range="bytes=500-1499")
        for part in [one.result(180.0) for one in [players.submit(asked) for _ in range(4)]]:
            assert (part.status_code, part.content) == (206, b"".join(fragments)[500:1500])
    assert archive.store.ranges_read < 150


def test_a_video_of_too_many_fragments_is_looked_through_once(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE_BYTES", len(STREAM) // 2)
    image = video(archive, in_fragments(4097))
    with archive.gateway() as client:
        asked = partial(get, client, image, "/pixeldata?accept=video/mp4")
        assert "too many fragments" in asked().json()["title"]
        before = archive.store.ranges_read
        assert asked().status_code == 422
        assert archive.store.ranges_read == before


@pytest.mark.parametrize("path", ["/frames/1", "/frames/1,2", "/rendered", "/frames/1/rendered"])
def test_frames_of_a_video_are_refused_at_once(archive: Archive, path: str) -> None:
    image = video(archive, [STREAM])
    with archive.gateway() as client:
        refused = get(client, image, path, accept="*/*")
    assert refused.status_code == 422
    assert "bulk data" in refused.json()["title"]
    assert archive.reads_of(image) == 0


@pytest.mark.parametrize(
    ("cut", "end"),
    [(9, b""), (len(STREAM) // 2, b""), (len(STREAM) + 8, b""), (len(STREAM) + 16, b"\xfe\xff\xdd\xe0\0\0\0\0")],
)
def test_a_video_that_is_cut_short_says_so(archive: Archive, cut: int, end: bytes) -> None:
    def cut_short(**said: Any) -> bytes:
        whole = compressed(np.zeros((3, 8, 8, 3), np.uint8), [STREAM], MPEG4, table=False, **said)
        return whole[:-cut] + end

    image = archive.image(cut_short, MPEG4)
    with archive.gateway() as client:
        refused = get(client, image, "/pixeldata?accept=video/mp4")
    assert refused.status_code == 422
    assert refused.json()["title"] == "The pixel data of the instance are cut short."


@pytest.mark.parametrize("left", [0, 5, 8 + 5])
def test_frames_of_a_file_that_ends_in_their_offset_table_are_said_to_be_cut_short(archive: Archive, left: int) -> None:
    """Of the value of the pixel data, `left` bytes are there."""
    codestreams = [b"\xff\x4f" + bytes([number]) * 30 for number in range(2)]

    def cut_short(**said: Any) -> bytes:
        whole = compressed(np.zeros((2, 8, 8), np.uint16), codestreams, JPEG2000, **said)
        return whole[: whole.index(b"\xfe\xff\x00\xe0\x08\0\0\0") + left]

    image = archive.image(cut_short, JPEG2000)
    with archive.gateway() as client:
        for path in ("/frames/1", "/pixeldata", "/rendered", "/thumbnail"):
            refused = get(client, image, path, accept="*/*")
            assert refused.status_code == 422, path
            assert refused.json()["title"] == "The pixel data of the instance are cut short."
