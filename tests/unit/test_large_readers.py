"""Who reads an object of gigabytes has little of it in memory; a damaged one is told, and a full disk is waited for."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from consumers.catalog.reading import Reads
from consumers.derive.config import Output
from consumers.derive.step import Derive
from consumers.forward.peer import Peer
from consumers.forward.step import Forward
from consumers.tiering.copies import Copies, copy_in
from consumers.validate.config import Limits as ValidateLimits
from consumers.validate.step import Validate
from gateway.dimse import retrieving, still
from gateway.dimse.reading import Budget
from gateway.dimse.selecting import Copy, Wanted
from producers.dicom_router.reconciling.orphan import NotOurs, Orphan, looked_at
from streams import part10
from streams.clock import SystemClock
from streams.coercion import Uncoercible, coerced
from streams.config import Site
from streams.dimse.stored import Limits, Stored, of_file
from streams.events import ForwardResult, InstanceDerived, InstanceReceived, InstanceValidated
from streams.generation import of_facts
from streams.held import HeldImages
from streams.mapped import Mapped
from streams.objects import NoRoom
from streams.part10 import IMPLICIT_VR_LITTLE_ENDIAN
from streams.reading_large import fetch, joined
from streams.routes.routes import load
from streams.routes.rules import Destination
from streams.step import DeadLetter, Done, Input, Outcome, Quarantine, RetryLater
from streams.wire import Record
from tests import held_images
from tests.event_streams import SITE, TENANT, new_log
from tests.instance_events import AT, instance_of, meta_of, provenance_of, received_of, validated_of
from tests.large_objects import BYTES, IMAGE, MEMORY_BYTES_MAX, SIZE, LargeStore, full, in_little_memory
from tests.nodes import no_tls
from tests.received import events_of, identity
from tests.retrieves import Client, keys, running_retrieve
from tests.routers import CT, EXPLICIT, AdjustableClock, Router, running_router

ROUTES = """
[destinations.node]
ae_title = "NODE"
host = "127.0.0.1"
port = 1

[[rules]]
name = "all"
forward = ["node"]
"""


@pytest.fixture
def store(tmp_path: Path) -> LargeStore:
    made = LargeStore("hot")
    made.objects_folder = tmp_path / "large"
    return made


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[Router, LargeStore]]:
    """Another router, and the store that it puts what it gets in. It has its objects on disk, too."""
    there = LargeStore()
    with running_router(there, objects_folder=tmp_path / "coming in", objects_memory_bytes_max=0) as router:
        yield router, there


def received(store: LargeStore) -> InstanceReceived:
    instance = instance_of((IMAGE.study, IMAGE.series, IMAGE.instance), store.digest)
    return received_of(meta_of(store.digest), instance, store.ref())


def validated(store: LargeStore) -> Input[InstanceValidated]:
    event = validated_of(received(store), meta_of(store.digest, "validate"), provenance_of("validate"))
    return Input(event, Record("imaging.instance.validated", "id", 0, 0, 0, None, None))


def forwarded(store: LargeStore, port: int, folder: Path) -> Outcome:
    (folder / "routes.toml").write_text(ROUTES, encoding="utf-8")
    node = Destination(ae_title="RADSTREAM", host="127.0.0.1", port=port, answer_s=60.0)
    held = HeldImages(held_images.log_of_holds(), AdjustableClock())
    peer, rules = Peer(node, no_tls()), load(folder / "routes.toml").about("node")
    step = Forward("node", rules, peer, of_facts("forward.node"), store, Limits(), held)
    try:
        (outcome,) = step([validated(store)], SystemClock())
    finally:
        peer.close()
    return outcome


def result_of(outcome: Outcome, store: LargeStore) -> ForwardResult:
    match outcome:
        case Done() as done:
            pass
        case DeadLetter(beside=done) | RetryLater(given_up=done):
            pass
    (event,) = events_of(done, store)
    assert isinstance(event, ForwardResult)
    return event


def test_it_is_forwarded(store: LargeStore, receiver: tuple[Router, LargeStore], tmp_path: Path) -> None:
    router, there = receiver
    with in_little_memory():
        outcome = forwarded(store, router.target.port, tmp_path)
    assert result_of(outcome, store).outcome == "done"
    assert there.put == [("hot", store.digest)]


def test_a_damaged_one_is_not_forwarded(store: LargeStore, tmp_path: Path) -> None:
    store.damaged.add("hot")
    outcome = forwarded(store, 1, tmp_path)
    assert isinstance(outcome, DeadLetter)
    assert "not those that were acknowledged" in outcome.reason


def test_forwarding_waits_for_room_and_says_in_the_end_that_it_is_missing(store: LargeStore, tmp_path: Path) -> None:
    store.objects_folder = full(tmp_path)
    outcome = forwarded(store, 1, tmp_path)
    assert isinstance(outcome, RetryLater)
    assert outcome.scope == "subject"
    last = result_of(outcome, store)
    assert (last.outcome, last.code) == ("failed", "no_room")
    assert "objects_folder" in last.detail


@contextmanager
def retrieve(store: LargeStore, nodes: Path, port: int, patch: pytest.MonkeyPatch) -> Iterator[Client]:
    """The service, and what it finds; NODE is where `port` is."""

    @contextmanager
    def no_catalog(_: Reads) -> Iterator[None]:
        yield None

    wanted = Wanted(IMAGE.study, IMAGE.instance, CT, store.digest, (Copy(EXPLICIT, store.ref()),), None, 0)
    patch.setattr(Reads, "snapshot", no_catalog)
    patch.setattr(retrieving, "selected", lambda *_: [wanted])
    patch.setattr(still, "shown", lambda *_: {store.digest: None})
    nodes.write_text(f'[there]\nae_title = "RADSTREAM"\nhost = "127.0.0.1"\nport = {port}\n', encoding="utf-8")
    with running_retrieve("", store, new_log(), Site(tenant=TENANT, site=SITE), nodes=nodes) as client:
        yield client


def moved(client: Client) -> tuple[int, str]:
    last: Any = client.move(keys("STUDY", StudyInstanceUID=IMAGE.study), "RADSTREAM")[-1][0]
    return int(last.Status), str(last.get("ErrorComment", ""))


def test_it_is_moved(
    store: LargeStore, receiver: tuple[Router, LargeStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    router, there = receiver
    room, taken = Budget.room, list[int]()
    monkeypatch.setattr(Budget, "room", lambda self, size: taken.append(size) or room(self, size))
    with retrieve(store, tmp_path / "nodes.toml", router.target.port, monkeypatch) as client, in_little_memory():
        assert moved(client) == (0x0000, "")
    assert there.put == [("hot", store.digest)]
    assert 0 < taken[0] < MEMORY_BYTES_MAX, "nobody else waits for the memory that it does not take"


def test_a_move_says_what_is_damaged_and_that_there_is_no_room(
    store: LargeStore, receiver: tuple[Router, LargeStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    router, there = receiver
    with retrieve(store, tmp_path / "nodes.toml", router.target.port, monkeypatch) as client:
        store.damaged.add("hot")
        assert moved(client) == (0xA702, "its stored bytes are damaged in every store")
        store.objects_folder = full(tmp_path)
        assert moved(client) == (0xA702, "no disk here for so large an object now; ask again")
    assert there.put == []


def test_under_its_identity_here_it_is_on_the_disk_too(store: LargeStore, tmp_path: Path) -> None:
    """Both what is sent to a node and what is retrieved go this way."""
    with in_little_memory():
        before = fetch(store, store.ref())
        made = coerced(before, {"PatientID": "P-1"}, "ELSEWHERE", AT, store.objects_folder)
    was, now = part10.read(before), part10.read(made)
    assert isinstance(made, Mapped)
    assert now.text(0x00100020) == "P-1"
    assert (was.pixel_data is not None, now.pixel_data is not None) == (True, True)
    assert now.elements[0x7FE00010].length == was.elements[0x7FE00010].length
    with pytest.raises(NoRoom):
        coerced(before, {"PatientID": "P-1"}, "ELSEWHERE", AT, full(tmp_path))


def test_in_another_transfer_syntax_it_is_on_the_disk_too(store: LargeStore, tmp_path: Path) -> None:
    """Every node takes implicit VR, and some take nothing else."""
    instance = received(store).instance
    with in_little_memory():
        stored = of_file(fetch(store, store.ref()), instance, store.objects_folder)
        assert isinstance(stored, Stored)
        made = stored.data_set(IMPLICIT_VR_LITTLE_ENDIAN, Limits())
    assert isinstance(made, memoryview)
    assert isinstance(made.obj, Mapped)
    pixels = struct.pack("<HHI", 0x7FE0, 0x0010, BYTES)
    assert bytes(made[len(made) - BYTES - 8 : len(made) - BYTES]) == pixels
    there = of_file(fetch(store, store.ref()), instance, full(tmp_path))
    assert isinstance(there, Stored)
    with pytest.raises(NoRoom):
        there.data_set(IMPLICIT_VR_LITTLE_ENDIAN, Limits())


def test_a_large_one_that_ends_within_its_pixel_data_is_not_taken_into_memory_for_that(store: LargeStore) -> None:
    before = joined((memoryview(fetch(store, store.ref()))[:-2],), store.objects_folder)
    with in_little_memory(), pytest.raises(Uncoercible, match="large"):
        coerced(before, {"PatientID": "P-1"}, "ELSEWHERE", AT)


@pytest.fixture
def copies(store: LargeStore) -> Iterator[Copies]:
    with ThreadPoolExecutor(4) as pool:
        yield Copies(store, pool, "t", IMAGE.study, threading.Event())


def test_it_is_copied_and_every_copy_verified(store: LargeStore, copies: Copies) -> None:
    with in_little_memory():
        found = copies.found({store.digest}, (), "hot")
        (item,) = copies.verified(copies.copied(found, "hot", "warm"), "warm")
    assert store.put == [("warm", store.digest)]
    assert [(one.store, one.verified) for one in item.copies] == [("hot", True), ("warm", True)]


def test_a_copy_that_rots_is_found_out_without_a_disk(store: LargeStore, copies: Copies, tmp_path: Path) -> None:
    found = copies.copied(copies.found({store.digest}, (), "hot"), "hot", "warm")
    store.damaged.add("warm")
    store.objects_folder = full(tmp_path)
    with in_little_memory():
        (item,) = copies.verified(found, "warm")
    copy = copy_in(item, "warm")
    assert copy is not None
    assert not copy.verified


def test_a_copy_waits_for_room_and_nothing_is_said_of_its_source(
    store: LargeStore, copies: Copies, tmp_path: Path
) -> None:
    """As for a store that is away: the move goes on by itself once there is room."""
    found = copies.found({store.digest}, (), "hot")
    good, store.objects_folder = store.objects_folder, full(tmp_path)
    with pytest.raises(NoRoom):
        copies.copied(found, "hot", "warm")
    store.objects_folder = good
    (item,) = copies.copied(found, "hot", "warm")
    assert copy_in(item, "warm") is not None


def test_what_a_crash_left_of_it_is_looked_at(store: LargeStore) -> None:
    (listed,) = store.listed("hot", "t/")
    with in_little_memory():
        found = looked_at(store, "t", listed, store.digest)
    assert isinstance(found, Orphan)
    assert (found.file.sha256, len(found.file.data)) == (store.digest, SIZE)
    store.damaged.add("hot")
    damaged = looked_at(store, "t", listed, store.digest)
    assert isinstance(damaged, NotOurs)
    assert damaged.damaged
    store.there.clear()
    assert looked_at(store, "t", listed, store.digest) is None


def test_it_is_validated(store: LargeStore) -> None:
    item = Input(received(store), Record("imaging.instance.received", "id", 0, 0, 0, None, None))
    step = Validate(identity("validate"), store, ValidateLimits())
    with in_little_memory():
        (outcome,) = step([item], SystemClock())
    assert isinstance(outcome, Done)
    store.damaged.add("hot")
    (outcome,) = step([item], SystemClock())
    assert isinstance(outcome, Quarantine)


def test_it_is_looked_at_for_copies_that_can_be_made_of_it(store: LargeStore) -> None:
    with in_little_memory():
        (outcome,) = Derive(identity("derive"), store, Output())([validated(store)], SystemClock())
    assert isinstance(outcome, Done)
    (event,) = events_of(outcome, store)
    assert isinstance(event, InstanceDerived)
    assert event.source_size == SIZE


def test_validate_waits_for_room(store: LargeStore, tmp_path: Path) -> None:
    store.objects_folder = full(tmp_path)
    item = Input(received(store), Record("imaging.instance.received", "id", 0, 0, 0, None, None))
    (outcome,) = Validate(identity("validate"), store, ValidateLimits())([item], SystemClock())
    assert isinstance(outcome, RetryLater)
