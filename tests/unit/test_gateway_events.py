"""`/events` of the gateway: everything once, also for who comes back, and nothing of patients."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import threading
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.live import feed as feeding
from gateway.live import streaming
from gateway.live.feed import Feed
from gateway.live.position import BadPosition, Positions
from gateway.live.streaming import _Listened, _Stream
from gateway.live.telling import KINDS, topics
from gateway.workers import Workers
from schemas import load_topics
from streams.log import LogAway, TopicPartition
from streams.memory_log import MemoryLog
from streams.wire import Record, SchemaIds, encode
from tests.event_streams import TENANT, Hospital

PARTITIONS = 3


@dataclass(frozen=True)
class Block:
    """One block of an event stream (WHATWG HTML, section 9.2.6)."""

    id: str | None
    kind: str | None
    said: dict[str, Any]


def block_of(text: str) -> Block:
    fields = dict(line.split(": ", 1) for line in text.splitlines())
    return Block(fields.get("id"), fields.get("event"), json.loads(fields.get("data", "{}")))


class World:
    def __init__(self, seed: int = 1) -> None:
        self.log = MemoryLog()
        for name in topics():
            self.log.create_topic(name, PARTITIONS)
        self.hospital = Hospital(seed)
        self.feed = Feed(self.log, Workers(2), TENANT)
        self.said: list[tuple[str, int]] = []

    def revise(self, times: int = 1) -> None:
        """So many revisions of new studies."""
        for _ in range(times):
            (event, *_) = self.hospital.study(f"P{len(self.said)}", "DOE^JANE", series=1, images=1)
            revision = self.hospital.revision([event])
            self.log.append(encode(revision, SchemaIds(), source="test"))
            self.said.append((revision.study_uid, revision.revision))

    async def listener(self, last: str | None = None, study: str | None = None) -> AsyncIterator[Block]:
        stream = _Stream(self.feed, await self.feed.listen(), study)
        async for piece in stream.pieces(last):
            for text in piece.decode().split("\n\n"):
                if text and not text.startswith("retry"):
                    yield block_of(text)


def run(body: Callable[[World], Coroutine[Any, Any, None]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "_LOOK_S", 0.01)
    asyncio.run(asyncio.wait_for(body(World()), 60))


async def taken(listener: AsyncIterator[Block], count: int) -> list[Block]:
    """The next `count` events; places between them are not events."""
    found: list[Block] = []
    while len(found) < count:
        block = await anext(listener)
        if block.kind is not None:
            found.append(block)
    return found


def studies(blocks: list[Block]) -> list[tuple[str, int]]:
    return sorted((block.said["study"], block.said["revision"]) for block in blocks)


def test_who_listens_is_told_each_revision_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World) -> None:
        world.revise(5)
        before = len(world.said)
        one, two = world.listener(), world.listener()
        # A place first: who is cut off before anything happened comes back there.
        assert (await anext(one)).id is not None
        assert (await anext(two)).kind is None
        world.revise(20)
        for listener in (one, two):
            assert studies(await taken(listener, 20)) == sorted(world.said[before:])

    run(body, monkeypatch)


def test_who_comes_back_misses_nothing_and_hears_nothing_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World) -> None:
        listener, chance = world.listener(), random.Random(7)
        last = (await anext(listener)).id
        heard: list[Block] = []
        for _ in range(12):
            world.revise(chance.randrange(1, 8))
            cut = chance.randrange(0, len(world.said) - len(heard) + 1)
            blocks = await taken(listener, cut)
            heard += blocks
            last = blocks[-1].id if blocks else last
            await listener.aclose()  # type: ignore[attr-defined] # an async generator
            world.revise(chance.randrange(0, 5))
            if chance.random() < 0.3:
                # The gateway was started anew meanwhile.
                world.feed = Feed(world.log, Workers(2), TENANT)
            listener = world.listener(last)
        heard += await taken(listener, len(world.said) - len(heard))
        assert studies(heard) == sorted(world.said)

    run(body, monkeypatch)


def test_who_stops_waits_for_no_log_that_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, the last task of a gateway that stopped was a look at a log that was away, for as long as that took."""
    asked, let_go = threading.Event(), threading.Event()

    async def body(world: World) -> None:
        listener = await world.feed.listen()

        def bounds(_: Collection[TopicPartition]) -> Mapping[TopicPartition, tuple[int, int]]:
            asked.set()
            let_go.wait(60)
            raise LogAway("frozen")

        monkeypatch.setattr(world.log, "bounds", bounds)
        assert await asyncio.to_thread(asked.wait, 30)
        looking = world.feed._looking
        assert looking is not None
        world.feed.leave(listener)
        done, _ = await asyncio.wait([looking], timeout=10)
        let_go.set()
        assert done == {looking}

    run(body, monkeypatch)


def test_a_page_of_one_study_hears_of_that_study(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World) -> None:
        world.revise(6)
        wanted = world.said[3]
        world.feed = Feed(world.log, Workers(2), TENANT)
        start = await world.feed.listen()
        beginning = world.feed.positions.id_of(dict.fromkeys(start.position, 0))
        assert studies(await taken(world.listener(beginning, wanted[0]), 1)) == [wanted]

    run(body, monkeypatch)


def test_a_page_of_one_study_is_not_silent_while_others_are_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, each event of another study put it off: a proxy closed the silent connection, which came back with an id
    from long ago, and read all of it."""
    monkeypatch.setattr(streaming, "_SILENT_S", 0.2)

    async def body(world: World) -> None:
        async def others() -> None:
            while True:
                world.revise()
                await asyncio.sleep(0.01)

        busy = asyncio.create_task(others())
        quiet = world.listener(study="1.2.3")
        places, reached = list[Block](), list[int]()
        # Two may be the same where nothing was read between them.
        while len(set(reached)) < 4:
            places.append(await anext(quiet))
            reached.append(sum(world.feed.positions.read(places[-1].id or "").values()))
        busy.cancel()
        assert {place.kind for place in places} == {None}
        assert reached == sorted(reached), "none is before the one that came before it"
        rest = await taken(world.listener(places[-1].id), len(world.said) - reached[-1])
        assert set(studies(rest)) == set(world.said[-len(rest) :] if rest else [])

    run(body, monkeypatch)


def test_a_page_of_one_study_that_is_let_go_comes_back_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """What did not fit any more is not behind the place that it is given."""
    monkeypatch.setattr(feeding, "_WAITING_MAX", 4)

    async def body(world: World) -> None:
        slow = world.listener(study="1.2.3")
        await anext(slow)
        world.revise(40)
        while world.feed.listeners:
            await asyncio.sleep(0.01)
        places = [block async for block in slow]
        (last,) = [sum(world.feed.positions.read(place.id or "").values()) for place in places]
        assert 0 < last < 40
        assert len(await taken(world.listener(places[-1].id), 40 - last)) == 40 - last

    run(body, monkeypatch)


def test_of_what_is_told_a_little_is_in_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand records were 25 MB for each who came back. To those who listen as to those who missed it."""
    monkeypatch.setattr(feeding, "_AT_ONCE", 8, raising=False)

    async def body(world: World) -> None:
        spans: list[int] = []
        read = world.log.read

        def counted(name: TopicPartition, start: int, end: int) -> Iterator[Record]:
            spans.append(end - start)
            return read(name, start, end)

        monkeypatch.setattr(world.log, "read", counted)
        one = world.listener()
        last = (await anext(one)).id
        world.revise(100)
        assert studies(await taken(one, 100)) == sorted(world.said)
        again = await taken(world.listener(last), 100)
        assert studies(again) == sorted(world.said)
        assert max(spans) <= 8
        # Each place on the way is one to come back to.
        rest = await taken(world.listener(again[37].id), 62)
        assert studies(again[:38] + rest) == sorted(world.said)

    run(body, monkeypatch)


def test_what_goes_while_it_is_told_is_a_reset_behind_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "_AT_ONCE", 8, raising=False)

    async def body(world: World) -> None:
        one = world.listener()
        last = (await anext(one)).id
        world.revise(60)
        await taken(one, 60)
        listener = world.listener(last)
        heard = await taken(listener, 4)
        for name in (TopicPartition(topic, number) for topic in topics() for number in range(PARTITIONS)):
            world.log.trim(name, world.log.partition(name).end)
        while heard[-1].kind != "reset":
            heard += await taken(listener, 1)
        assert len(heard) < 60
        world.revise(1)
        assert studies(await taken(listener, 1)) == world.said[-1:]

    run(body, monkeypatch)


@pytest.mark.parametrize("wrong", ["x", "AAAA", "=", "é", base64.b64encode(b"\xff" * 40).decode(), "A" * 40_000])
def test_an_id_that_is_not_ours_says_so_and_goes_on(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World) -> None:
        listener = world.listener(wrong)
        (reset,) = await taken(listener, 1)
        assert (reset.kind, reset.said) == ("reset", {})
        world.revise(1)
        assert studies(await taken(listener, 1)) == world.said

    run(body, monkeypatch)


def test_what_the_log_has_let_go_is_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World) -> None:
        listener = world.listener()
        last = (await anext(listener)).id
        world.revise(30)
        await taken(listener, 30)
        revisions = load_topics().physical("imaging.study.revision")
        for name in (TopicPartition(topic, number) for topic in revisions for number in range(PARTITIONS)):
            world.log.trim(name, world.log.partition(name).end)
        (reset,) = await taken(world.listener(last), 1)
        assert reset.kind == "reset"

    run(body, monkeypatch)


def test_a_listener_that_does_not_read_is_let_go_and_comes_back_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "_WAITING_MAX", 4)

    async def body(world: World) -> None:
        slow = world.listener()
        await anext(slow)
        world.revise(40)
        while world.feed.listeners:
            await asyncio.sleep(0.01)
        # It gets what fitted, in order, and then its end.
        heard = [block async for block in slow if block.kind is not None]
        assert 0 < len(heard) < 40
        rest = await taken(world.listener(heard[-1].id), 40 - len(heard))
        assert studies(heard + rest) == sorted(world.said)

    run(body, monkeypatch)


@given(st.lists(st.integers(0, 2**40), min_size=3, max_size=3))
def test_a_position_comes_back_as_it_went(offsets: list[int]) -> None:
    names = [TopicPartition("t", number) for number in range(3)]
    positions = Positions(names, {"t": "id"})
    at = dict(zip(names, offsets, strict=True))
    assert positions.read(positions.id_of(at)) == at
    with pytest.raises(BadPosition):
        Positions(names, {"t": "made anew"}).read(positions.id_of(at))


def test_every_kind_that_is_told_has_a_topic() -> None:
    assert len(topics()) >= len(KINDS)


def test_a_client_that_went_before_the_first_piece_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World) -> None:
        listener = await world.feed.listen()
        answer = _Listened(world.feed, listener, _Stream(world.feed, listener, None), None, {})

        async def gone() -> dict[str, Any]:
            return {"type": "http.disconnect"}

        async def nowhere(_: Any) -> None:
            """Nobody is there."""

        await answer({"type": "http", "asgi": {"spec_version": "2.3"}}, gone, nowhere)
        assert world.feed.listeners == 0

    run(body, monkeypatch)


def test_whoever_listens_is_let_go_when_the_feed_ends_by_whatever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(world: World) -> None:
        listener = await world.feed.listen()

        def broken(*_: Any) -> None:
            raise RuntimeError

        monkeypatch.setattr(world.log, "bounds", broken)
        assert await listener.entries.get() is None
        assert listener.has_ended

    run(body, monkeypatch)
