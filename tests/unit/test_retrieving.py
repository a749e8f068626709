"""C-MOVE and C-GET without a catalog: what a retrieve may cost others, and what is told of one that ends otherwise."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless
from pynetdicom.dimse_primitives import C_FIND
from pynetdicom.dsutils import encode

from consumers.catalog.reading import Reads
from gateway.dimse import items, retrieving, still, telling
from gateway.dimse.reading import Budget
from gateway.dimse.retrieving import NOT_PERFORMED
from gateway.dimse.searching import Search
from gateway.dimse.selecting import Copy, Wanted
from streams.config import Site
from streams.events import AccessRead, AuditEvent, ObjectRef
from streams.log import Delivery, TopicPartition
from streams.memory_log import MemoryLog, MemoryProducer
from streams.memory_store import MemoryStore
from streams.objects import StoreAway
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.step import Away, NewObject
from streams.wire import Message, decode
from tests.event_streams import SITE, TENANT, new_log
from tests.images import CT, native
from tests.nodes import node
from tests.retrieves import STUDY_FIND, STUDY_GET, Client, keys, running_retrieve
from tests.waiting import wait_until

STUDY = "1.2.840.99.1"
STORED = [(CT, EXPLICIT_VR_LITTLE_ENDIAN)]
ASKED = keys("STUDY", StudyInstanceUID=STUDY)
WAIT_S = 60.0


class World:
    """A store with `count` instances of one study, which is what everybody gets who asks."""

    def __init__(self, count: int) -> None:
        self.store, self.log = MemoryStore(), new_log()
        self.wanted: list[Wanted] = []
        # What the catalog would not show any more, and how often it was asked.
        self.held: set[str] = set()
        self.questions = 0
        self.is_away = False
        for uid in (f"{STUDY}.{number}" for number in range(count)):
            file = native(np.zeros((1, 8, 8), np.uint16), SOPInstanceUID=uid, StudyInstanceUID=STUDY)
            self.add(uid, file, EXPLICIT_VR_LITTLE_ENDIAN)

    def add(self, uid: str, file: bytes, syntax: str, pixel_bytes: int = 0) -> None:
        ref = self.store.create(NewObject(TENANT, "hot", f"{TENANT}/{uid}.dcm", file)).ref
        digest = hashlib.sha256(file).hexdigest()
        self.wanted.append(Wanted(STUDY, uid, CT, digest, (Copy(syntax, ref),), None, pixel_bytes))

    def shown(self, _: Any, __: str, wanted: Sequence[Wanted]) -> dict[str, str | None]:
        self.questions += 1
        if self.is_away:
            raise Away("it does not answer")
        return {one.digest: None for one in wanted if one.digest not in self.held}

    def told(self, topic: str) -> list[Any]:
        names = [TopicPartition(topic, number) for number in range(self.log.partitions(topic))]
        bounds = self.log.bounds(names)
        return [decode(record) for name in names for record in self.log.read(name, *bounds[name])]

    def read(self) -> list[tuple[str, str, int]]:
        events: list[AccessRead] = self.told("imaging.access.read")
        return [(one.study_uid, one.reader, one.reads) for one in events]

    def audited(self) -> list[tuple[str, str, str]]:
        events: list[AuditEvent] = self.told("imaging.audit.event")
        return [(one.action, one.meta.subject, one.outcome) for one in events]


@contextmanager
def running(world: World, monkeypatch: pytest.MonkeyPatch, **chosen: Any) -> Iterator[Client]:
    @contextmanager
    def no_catalog(_: Reads) -> Iterator[None]:
        yield None

    monkeypatch.setattr(Reads, "snapshot", no_catalog)
    monkeypatch.setattr(retrieving, "selected", lambda *_: list(world.wanted))
    monkeypatch.setattr(still, "shown", world.shown)
    log: MemoryLog = world.log
    with running_retrieve("", world.store, log, Site(tenant=TENANT, site=SITE), **chosen) as client:
        yield client


def test_one_address_has_its_part_of_all_retrieves_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    statuses: list[int] = []

    def slow(_: Any) -> int:
        begun.set()
        assert go_on.wait(WAIT_S)
        return 0x0000

    def long_one(client: Client) -> None:
        with client.association([STUDY_GET], stored=STORED, EVT_C_STORE=slow) as association:
            statuses.append(int(list(association.send_c_get(ASKED, STUDY_GET))[-1][0].Status))

    with running(World(1), monkeypatch, retrieves_per_peer_max=1, retrieves_max=2) as client:
        thread = threading.Thread(target=long_one, args=(client,))
        thread.start()
        try:
            assert begun.wait(WAIT_S)
            status, got = client.get(ASKED, STORED)
            assert (int(status.Status), got) == (NOT_PERFORMED, [])
            elsewhere = Client(client.port, address="127.0.0.2")
            status, got = elsewhere.get(ASKED, STORED)
            assert (int(status.Status), len(got)) == (0x0000, 1)
        finally:
            go_on.set()
            thread.join(WAIT_S)
        assert statuses == [0x0000]
        status, got = client.get(ASKED, STORED)
        assert (int(status.Status), len(got)) == (0x0000, 1)


def test_what_is_decoded_counts_as_what_it_is_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """A megabyte of codestreams may be a gigabyte of pixels: together they are to have no more than the budget."""
    taken: list[int] = []
    room = Budget.room
    monkeypatch.setattr(Budget, "room", lambda self, size: taken.append(size) or room(self, size))
    world, pixels = World(0), np.zeros((4, 64, 64), np.uint16)
    read = pydicom.dcmread(BytesIO(native(pixels, SOPInstanceUID=f"{STUDY}.1", StudyInstanceUID=STUDY)))
    read.compress(RLELossless, generate_instance_uid=False)
    packed = BytesIO()
    read.save_as(packed)
    world.add(f"{STUDY}.1", packed.getvalue(), RLELossless, pixels.nbytes)
    with running(world, monkeypatch) as client:
        _, got = client.get(ASKED, [(CT, RLELossless)])
        assert len(got) == 1
        _, got = client.get(ASKED, STORED)
        ((syntax, data),) = got
    assert syntax == EXPLICIT_VR_LITTLE_ENDIAN
    assert len(data) > pixels.nbytes
    coded = len(packed.getvalue())
    assert taken == [coded, coded + 2 * pixels.nbytes]
    assert coded < pixels.nbytes


def test_who_finds_no_room_in_time_is_told_to_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not held up by receivers that take their time."""
    room = Budget.room

    @contextmanager
    def crowded(self: Budget, size: int) -> Iterator[None]:
        with room(self, 1 << 40), room(self, size):
            yield

    monkeypatch.setattr(Budget, "room", crowded)
    with (
        running(World(1), monkeypatch, answer_timeout_s=0.2) as client,
        client.association([STUDY_GET], stored=STORED, EVT_C_STORE=lambda _: 0x0000) as association,
    ):
        last = list(association.send_c_get(ASKED, STUDY_GET))[-1][0]
    assert (int(last.Status), last.ErrorComment) == (NOT_PERFORMED, "too much is being sent at once; ask again")


def test_who_had_an_image_is_told_although_it_answered_that_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(2)
    with (
        running(world, monkeypatch) as client,
        client.association([STUDY_GET], stored=STORED, EVT_C_STORE=lambda _: 0xA700) as association,
    ):
        assert int(list(association.send_c_get(ASKED, STUDY_GET))[-1][0].Status) == NOT_PERFORMED
    assert sum(reads for _, _, reads in world.read()) == 2
    assert {(study, reader) for study, reader, _ in world.read()} == {(STUDY, "VIEWER@127.0.0.1")}
    assert ("retrieve.get", STUDY, "failure") in world.audited()


def test_who_had_an_image_is_told_although_it_broke_off_before_it_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(1)

    def takes_it_and_goes(event: Any) -> int:
        event.assoc.abort()
        return 0x0000

    with (
        running(world, monkeypatch) as client,
        client.association([STUDY_GET], stored=STORED, EVT_C_STORE=takes_it_and_goes) as association,
    ):
        # It waits for a response that does not come.
        association.dimse_timeout = 1.0
        list(association.send_c_get(ASKED, STUDY_GET))
        # Nobody is told when it is over, and a service that stops waits for it for a moment.
        wait_until(lambda: ("retrieve.get", STUDY, "failure") in world.audited(), "its end")
    assert world.read() == [(STUDY, "VIEWER@127.0.0.1", 1)]


def after_the_first(then: Callable[[], None]) -> Callable[[Any], int]:
    """Takes what comes; `then` happens while the first image is being taken."""
    taken = iter((then,))

    def take(_: Any) -> int:
        next(taken, lambda: None)()
        return 0x0000

    return take


def test_what_is_being_read_is_told_before_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, of who had thousands of images nothing was in the log where the service was killed before the last."""
    world, taken = World(3), 0

    def take(_: Any) -> int:
        nonlocal taken
        taken += 1
        if taken == 1:
            wait_until(lambda: ("retrieve.get.begun", STUDY, "success") in world.audited(), "who began to read", WAIT_S)
        else:
            wait_until(lambda: world.read() == [(STUDY, "VIEWER@127.0.0.1", 1)], "who has read", WAIT_S)
        return 0x0000

    with (
        running(world, monkeypatch) as client,
        client.association([STUDY_GET], stored=STORED, EVT_C_STORE=take) as association,
    ):
        assert int(list(association.send_c_get(ASKED, STUDY_GET))[-1][0].Status) == 0x0000
    assert sum(reads for _, _, reads in world.read()) == 3
    assert [one for one in world.audited() if one[0].startswith("retrieve.get")] == [
        ("retrieve.get.begun", STUDY, "success"),
        ("retrieve.get", STUDY, "success"),
    ]


@pytest.mark.parametrize("answers", [True, False])
def test_nothing_goes_out_before_the_log_has_who_began_unless_it_does_not_answer(
    monkeypatch: pytest.MonkeyPatch, answers: bool
) -> None:
    """Before, the record was in the producer alone, and lost with a service that was killed then."""
    monkeypatch.setattr(telling, "_BEGUN_S_MAX", WAIT_S if answers else 0.1)
    world, append = World(1), MemoryProducer.send

    def slow(self: MemoryProducer, message: Message) -> Future[Delivery]:
        sent: Future[Delivery] = Future()
        if answers:
            threading.Timer(0.2, lambda: sent.set_result(append(self, message).result())).start()
        return sent

    monkeypatch.setattr(MemoryProducer, "send", slow)
    had: list[list[str]] = []

    def take(_: Any) -> int:
        had.append([action for action, _, _ in world.audited()])
        return 0x0000

    with (
        running(world, monkeypatch) as client,
        client.association([STUDY_GET], stored=STORED, EVT_C_STORE=take) as association,
    ):
        assert int(list(association.send_c_get(ASKED, STUDY_GET))[-1][0].Status) == 0x0000
    assert had == [["retrieve.get.begun"] if answers else []]


@pytest.mark.parametrize("is_away", [False, True])
def test_an_image_that_is_held_while_others_go_out_stays(monkeypatch: pytest.MonkeyPatch, is_away: bool) -> None:
    """And none goes of which the catalog cannot say that it may."""
    monkeypatch.setattr(still, "_OLD_S", 0.0)
    world = World(3)

    def hold() -> None:
        world.held.add(world.wanted[1].digest)
        world.is_away = is_away

    with (
        running(world, monkeypatch) as client,
        client.association([STUDY_GET], stored=STORED, EVT_C_STORE=after_the_first(hold)) as association,
    ):
        status, said = list(association.send_c_get(ASKED, STUDY_GET))[-1]
    kept = world.wanted[1:] if is_away else world.wanted[1:2]
    assert (int(status.Status), status.NumberOfCompletedSuboperations) == (0xB000, 3 - len(kept))
    assert said is not None
    failed = said.FailedSOPInstanceUIDList
    assert ([failed] if isinstance(failed, str) else list(failed)) == [one.sop_instance for one in kept]
    assert status.ErrorComment == (
        "the catalog does not answer; ask again" if is_away else "it is held since the retrieve began"
    )
    assert sum(reads for _, _, reads in world.read()) == 3 - len(kept)


def test_whether_images_are_still_shown_is_asked_for_many_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(still, "_OLD_S", float("inf"))
    world = World(120)
    with running(world, monkeypatch) as client:
        status, got = client.get(ASKED, STORED)
    assert (int(status.Status), len(got)) == (0x0000, 120)
    assert world.questions == 3


def test_a_node_that_takes_nothing_is_not_asked_for_each_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, nodes = World(5), tmp_path / "nodes.toml"
    with node([EXPLICIT_VR_LITTLE_ENDIAN], sop_classes=("1.2.840.10008.5.1.4.1.1.4",)) as there:
        nodes.write_text(f'[there]\nae_title = "NODE"\nhost = "127.0.0.1"\nport = {there.port}\n', encoding="utf-8")
        with running(world, monkeypatch, nodes=nodes) as client:
            status, failed = client.move(ASKED, "NODE")[-1]
    assert int(status.Status) == NOT_PERFORMED
    assert failed is not None
    assert len(failed.FailedSOPInstanceUIDList) == 5
    assert there.associations == 1
    assert world.read() == []


def test_a_store_that_is_away_is_not_asked_for_each_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    world, asked = World(7), list[ObjectRef]()

    def away(ref: ObjectRef) -> bytes:
        asked.append(ref)
        raise StoreAway("no answer")

    monkeypatch.setattr(world.store, "read", away)
    with running(world, monkeypatch) as client:
        last, got = client.get(ASKED, STORED)
        assert (int(last.Status), last.NumberOfFailedSuboperations, got) == (NOT_PERFORMED, 7, [])
        assert last.ErrorComment == "the object store does not answer; ask again"
        assert len(asked) < 7
        monkeypatch.undo()
    with running(world, monkeypatch) as client:
        assert len(client.get(ASKED, STORED)[1]) == 7


def test_a_query_of_who_does_not_read_the_matches_goes_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each match that nobody reads would wait in memory."""
    found, asking, over, go_on = [0], threading.Event(), threading.Event(), threading.Event()

    def endless(_: Search) -> Iterator[Dataset]:
        try:
            for found[0] in range(2_000):
                item = keys("STUDY", StudyInstanceUID=STUDY)
                items.put(item, "StudyDescription", "x" * 60_000)
                yield item
        finally:
            over.set()

    def reads_nothing(_: Any) -> None:
        if asking.is_set():
            go_on.wait(WAIT_S)

    monkeypatch.setattr(Search, "found", endless)
    asked = BytesIO(encode(keys("STUDY", StudyInstanceUID=None, StudyDescription=None), True, True) or b"")
    with (
        running(World(0), monkeypatch, answer_timeout_s=2.0) as client,
        client.association([STUDY_FIND], EVT_PDU_RECV=reads_nothing) as association,
    ):
        request: Any = C_FIND()
        request.MessageID, request.AffectedSOPClassUID, request.Priority = 1, STUDY_FIND, 0
        request.Identifier = asked
        asking.set()
        association.dimse.send_msg(request, association.accepted_contexts[0].context_id or 0)
        try:
            assert over.wait(WAIT_S)
        finally:
            go_on.set()
        association.abort()
    assert 10 < found[0] < 1_000
