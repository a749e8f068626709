"""What has just arrived is read before anybody asks: rightly, and never more than is set."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.dicomweb.heads import Heads
from gateway.dicomweb.preparing import LOOK_S, REFUSED_S, Preparing
from gateway.dicomweb.served import Served
from gateway.kept import Kept
from gateway.reading import Blob, Reading
from gateway.workers import Workers
from schemas import Lane, load_topics
from streams import part10
from streams.events import ObjectRef
from streams.log import LogAway, LogClosed, TopicPartition
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.objects import StoreAway
from streams.step import NewObject
from streams.wire import Message, SchemaIds, encode
from tests.images import CT, native
from tests.instance_events import EXPLICIT, instance_of, meta_of, provenance_of, received_of, ref_of, validated_of
from tests.logged import captured, lines

TENANT = "t"
TOPIC = "imaging.instance.validated"
PIXELS = np.zeros((1, 16, 16), np.uint16)
STUDY, SERIES = "1.2.3", "1.2.3.4"


class Store(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.reads, self.away = 0, False

    def read_range(self, ref: ObjectRef, start: int, length: int) -> bytes:
        if self.away:
            raise StoreAway("away")
        self.reads += 1
        return super().read_range(ref, start, length)


class Log(MemoryLog):
    """Where it is `frozen`, it keeps whoever asks waiting until the test lets go; where it refuses, it says why."""

    def __init__(self) -> None:
        super().__init__()
        self.why, self.frozen = "", False
        self.asked, self.let_go, self.answered = threading.Event(), threading.Event(), threading.Event()

    def bounds(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, tuple[int, int]]:
        if self.why:
            raise LogClosed(self.why)
        if self.frozen:
            self.asked.set()
            self.let_go.wait(60)
            self.answered.set()
            raise LogAway("frozen")
        return super().bounds(partitions)


class World:
    """A gateway without its server, and the log and the store that it follows. It has looked at the log once."""

    def __init__(self, per_s_max: int = 1000, waiting_max: int = 1000) -> None:
        self.log, self.store = Log(), Store()
        for name in load_topics().physical(TOPIC):
            self.log.create_topic(name, 1)
        workers, kept = Workers(2), Kept(1 << 20, None, 0)
        self.heads = Heads(Reading(self.store, workers, kept, 1 << 20), workers, kept, self._proofs)
        self.slept_s: list[float] = []
        self.on_sleep: Callable[[], None] = lambda: None
        self.preparing = Preparing(self.log, self.heads, TENANT, per_s_max, waiting_max, self._sleep)
        self._known: dict[str, str] = {}
        self.proofs_asked = 0

    async def _sleep(self, seconds: float) -> None:
        self.slept_s.append(seconds)
        self.on_sleep()

    async def _proofs(self, digests: Sequence[str]) -> Mapping[str, str]:
        self.proofs_asked += 1
        return {digest: self._known[digest] for digest in digests}

    def arrive(
        self, number: int, lane: Lane = "routine", tenant: str = TENANT, *, flipped: bool = False, proven: bool = True
    ) -> Served:
        """An image with `number` in it; `flipped`: a disk has hurt its header in hot, and not in warm."""
        file = native(PIXELS, PatientID=f"P{number}")
        digest, key = hashlib.sha256(file).hexdigest(), f"{number}.dcm"
        proof = part10.metadata_sha256(part10.read(file))
        held = file.replace(b"P%d" % number, b"Q%d" % number) if flipped else file
        self.store.create(NewObject(TENANT, "hot", key, held))
        self.store.create(NewObject(TENANT, "warm", key, file))
        ref = ref_of(key, len(file), digest)
        uids = (STUDY, SERIES, f"{SERIES}.{number}")
        received = received_of(meta_of(digest), instance_of(uids, digest), ref)
        event = validated_of(received, meta_of(digest, "validate", tenant=tenant, lane=lane), provenance_of("validate"))
        event = msgspec.structs.replace(event, metadata_sha256=proof if proven else None)
        self.log.append(encode(event, SchemaIds(), source="test"))
        self._known[digest] = proof
        places = (ref, msgspec.structs.replace(ref, store="warm"))
        return Served(*uids, CT, EXPLICIT, 1, 1, 16, 16, Blob(places), ())

    async def shown(self, served: Sequence[Served]) -> list[str]:
        """The Patient IDs that a request would answer."""
        models = [msgspec.json.decode(head.model) for head in await self.heads.of_many(served)]
        return [model["00100020"]["Value"][0] for model in models]


def run(body: Callable[[World], Coroutine[Any, Any, None]], **limits: int) -> None:
    async def whole() -> None:
        world = World(**limits)
        await world.preparing.once()
        await body(world)

    asyncio.run(asyncio.wait_for(whole(), 60))


def test_who_asks_first_waits_for_no_store_and_no_proof() -> None:
    async def body(world: World) -> None:
        lanes: tuple[Lane, ...] = ("routine", "stat", "routine")
        served = [world.arrive(number, lane) for number, lane in enumerate(lanes)]
        await world.preparing.once()
        assert world.store.reads == 3
        assert await world.shown(served) == ["P0", "P1", "P2"]
        assert (world.store.reads, world.proofs_asked) == (3, 0)

    run(body)


@pytest.mark.parametrize("more", [{"lane": "bulk"}, {"tenant": "another"}, {"proven": False}])
def test_backfill_other_tenants_and_what_has_no_proof_are_left(more: dict[str, Any]) -> None:
    async def body(world: World) -> None:
        world.arrive(1, **more)
        await world.preparing.once()
        assert world.store.reads == 0

    run(body)


def test_a_damaged_header_is_not_kept() -> None:
    async def body(world: World) -> None:
        served = world.arrive(1, flipped=True)
        await world.preparing.once()
        assert world.store.reads == 1
        assert await world.shown([served]) == ["P1"]

    run(body)


def test_what_was_there_before_the_start_is_left() -> None:
    async def whole() -> None:
        world = World()
        world.arrive(1)
        await world.preparing.once()
        await world.preparing.once()
        assert world.store.reads == 0

    asyncio.run(whole())


def test_no_more_are_read_in_a_second_than_is_set() -> None:
    async def body(world: World) -> None:
        for number in range(100):
            world.arrive(number)
        await world.preparing.once()
        assert 0 < world.store.reads < 100
        while world.store.reads < 100:
            await world.preparing.once()
        assert sum(world.slept_s) >= 100 / 10

    run(body, per_s_max=10)


def test_of_more_than_may_wait_the_newest_are_read() -> None:
    async def body(world: World) -> None:
        served = [world.arrive(number) for number in range(30)]
        await world.preparing.once()
        assert world.store.reads == 5
        await world.shown(served[-5:])
        assert (world.store.reads, world.proofs_asked) == (5, 0)

    run(body, waiting_max=5)


def test_nothing_is_read_where_that_is_set() -> None:
    async def body(world: World) -> None:
        world.arrive(1)
        await world.preparing.run()
        assert world.store.reads == 0

    run(body, per_s_max=0)


@pytest.mark.parametrize("part", ["log", "store"])
def test_it_goes_on_when_what_was_away_is_back(part: str) -> None:
    async def body(world: World) -> None:
        away = world.log if part == "log" else world.store
        world.arrive(1)
        away.away = True

        def slept() -> None:
            if len(world.slept_s) == 2:
                away.away = False
                world.arrive(2)
            elif world.store.reads:
                raise asyncio.CancelledError

        world.on_sleep = slept
        with pytest.raises(asyncio.CancelledError):
            await world.preparing.run()

    run(body)


def test_topics_that_were_made_anew_are_followed() -> None:
    async def body(world: World) -> None:
        world.arrive(1)
        await world.preparing.once()
        world.log.delete_topic(TOPIC)
        world.log.create_topic(TOPIC, 1)
        await world.preparing.once()
        world.arrive(2)
        await world.preparing.once()
        assert world.store.reads == 2

    run(body)


def test_a_record_that_nobody_can_read_keeps_none_from_being_prepared() -> None:
    async def body(world: World) -> None:
        world.log.append(Message(TOPIC, b"k", b"v"))
        world.arrive(1)
        await world.preparing.once()
        assert world.store.reads == 1

    run(body)


def test_who_stops_waits_for_no_log() -> None:
    """Before, SIGTERM took as long as the log's patience, and what it then raised was printed as heard by nobody."""

    async def body(world: World) -> None:
        unheard: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, said: unheard.append(said["message"]))
        world.log.frozen = True
        running = asyncio.create_task(world.preparing.run())
        assert await asyncio.to_thread(world.log.asked.wait, 30)
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=10)
        world.log.let_go.set()
        assert done == {running}
        assert running.cancelled()
        assert await asyncio.to_thread(world.log.answered.wait, 30)
        del done, running
        for _ in range(10):
            await asyncio.sleep(0)
        gc.collect()
        assert unheard == []

    run(body)


STOPPED = """
import asyncio, threading
from gateway.workers import apart
begun = threading.Event()
def work():
    begun.set()
    threading.Event().wait()
async def main():
    task = asyncio.create_task(apart(work))
    while not begun.is_set():
        await asyncio.sleep(0)
    task.cancel()
asyncio.run(main())
"""


def test_the_process_ends_without_it() -> None:
    """Threads of a pool are waited for at the end of the interpreter."""
    ended = subprocess.run([sys.executable, "-c", STOPPED], timeout=240, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_log_that_refuses_is_said_once_and_asked_seldom_until_it_allows() -> None:
    """Before, nobody heard that nothing is prepared, and the broker noted a denial every two seconds."""

    async def body(world: World) -> None:
        world.log.why = "topic a: TOPIC_AUTHORIZATION_FAILED"
        waited: list[float] = []

        def slept() -> None:
            waited.append(world.slept_s[-1])
            if len(waited) == 3:
                world.log.why = "topic b: TOPIC_AUTHORIZATION_FAILED"
            elif len(waited) == 4:
                world.log.why = ""
                world.arrive(1)
            elif waited[-1] == LOOK_S:
                raise asyncio.CancelledError

        world.on_sleep = slept
        with captured() as stream, pytest.raises(asyncio.CancelledError):
            await world.preparing.run()
        assert waited[:4] == [REFUSED_S] * 4
        assert REFUSED_S > 10 * LOOK_S
        assert world.store.reads == 1
        said = [(line["event"], line.get("reason", "")[:7]) for line in lines(stream)]
        assert said == [("preparing_refused", "topic a"), ("preparing_refused", "topic b"), ("preparing_allowed", "")]

    run(body)
