"""Bytes for many readers: fetched once, checked, and from another store where one has them wrong."""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from starlette.types import Message

from gateway import reading
from gateway.dicomweb.answering import AtHand
from gateway.kept import Kept
from gateway.reading import BLOCK_BYTES, SMALL_BYTES, AllDamaged, Blob, NotOnline, Reading
from gateway.streamed import Streamed
from gateway.workers import Workers
from streams.events import ObjectRef
from streams.memory_store import MemoryStore
from streams.objects import Damaged, StoreAway
from streams.step import NewObject

T = TypeVar("T")
KEY = "general/studies/1/2/3/x.dcm"
SMALL = hashlib.shake_256(b"small").digest(100_000)
# Larger than what is read whole for a small part of it, and no whole number of blocks.
LARGE = hashlib.shake_256(b"large").digest(4 * SMALL_BYTES + 4321)


class CountingStore(MemoryStore):
    """Counts what is asked of it, and waits before it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[tuple[str, int, int]] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    def read(self, ref: ObjectRef) -> bytes:
        self._counted(ref, ref.offset, ref.length)
        return super().read(ref)

    def read_range(self, ref: ObjectRef, start: int, length: int) -> bytes:
        self._counted(ref, start, length)
        return super().read_range(ref, start, length)

    def _counted(self, ref: ObjectRef, start: int, length: int) -> None:
        self.reads.append((ref.store, start, length))
        assert self.may_answer.wait(30)


def stored(store: MemoryStore, data: bytes, **hurt: bytes) -> Blob:
    """In the stores that `hurt` names with the bytes that it gives, else in hot alone; found in all."""
    for name, held in (hurt or {"hot": data}).items():
        store.create(NewObject("general", name, KEY, held))
    sha256 = hashlib.sha256(data).hexdigest()
    ref = ObjectRef(tenant="general", store="hot", key=KEY, length=len(data), size=len(data), sha256=sha256)
    return Blob(tuple(msgspec.structs.replace(ref, store=name) for name in ("hot", "warm", "cold")))


def run(
    store: MemoryStore, work: Callable[[Reading], Awaitable[T]], kept: Kept | None = None, held_bytes_max: int = 1 << 20
) -> T:
    async def all_of_it() -> T:
        found = await work(Reading(store, Workers(2), kept or Kept(1 << 20, None, 0), held_bytes_max))
        # What goes on behind an answer ends before the loop does.
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)
        return found

    return asyncio.run(all_of_it())


async def gathered(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


@pytest.mark.parametrize("data", [SMALL, LARGE])
def test_the_whole_and_its_parts(data: bytes) -> None:
    store = MemoryStore()
    blob = stored(store, data)

    async def work(one: Reading) -> None:
        for start, length in ((0, 10), (BLOCK_BYTES - 1, 2), (5, 3 * BLOCK_BYTES), (len(data) - 3, 100), (7, 0)):
            assert await one.part(blob, start, length) == data[start : start + length]
        assert await gathered(one.pieces(blob)) == data
        assert await one.unchecked(blob, 0, 132) == await one.checked(blob, 0, 132) == data[:132]

    run(store, work)


def test_many_readers_are_one_fetch() -> None:
    store = CountingStore()
    blob = stored(store, SMALL)

    async def work(one: Reading) -> list[bytes]:
        store.may_answer.clear()
        readers = [asyncio.ensure_future(one.part(blob, number, 5)) for number in range(20)]
        while not store.reads:
            await asyncio.sleep(0)
        readers[0].cancel()  # The one who asked first does not take it from the others.
        store.may_answer.set()
        return await asyncio.gather(*readers[1:])

    assert run(store, work) == [SMALL[number : number + 5] for number in range(1, 20)]
    assert len(store.reads) == 1


def test_another_store_has_it_where_one_has_it_wrong() -> None:
    store = CountingStore()
    flipped = bytes([SMALL[0] ^ 1]) + SMALL[1:]
    blob = stored(store, SMALL, hot=flipped, warm=SMALL)
    assert run(store, lambda one: one.whole(blob)) == SMALL
    assert [name for name, _, _ in store.reads] == ["hot", "warm"]


def test_nothing_wrong_is_given() -> None:
    store = MemoryStore()
    blob = stored(store, SMALL, hot=SMALL[:-1] + bytes([SMALL[-1] ^ 1]), warm=SMALL[:-1])
    with pytest.raises(AllDamaged):
        run(store, lambda one: one.whole(blob))
    with pytest.raises(NotOnline):
        run(MemoryStore(), lambda one: one.whole(blob))


def test_a_damaged_copy_is_left_alone_for_a_while_and_then_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mendable(CountingStore):
        is_hurt = True

        def read(self, ref: ObjectRef) -> bytes:
            data = super().read(ref)
            if self.is_hurt:
                raise Damaged(ref.key)
            return data

    async def work(one: Reading) -> bytes:
        for _ in range(3):
            with pytest.raises(AllDamaged):
                await one.whole(blob)
        store.is_hurt = False
        return await one.whole(blob)

    store = Mendable()
    blob = Blob(stored(store, SMALL).places[:1])
    with pytest.raises(AllDamaged):
        run(store, work)
    assert len(store.reads) == 1
    monkeypatch.setattr(reading, "_DAMAGED_S", 0.0)
    store.is_hurt = True
    assert run(store, work) == SMALL


def test_a_copy_that_is_damaged_for_good_cuts_one_answer_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_DAMAGED_S", 0.0)
    store = MemoryStore()
    blob = stored(store, LARGE, hot=bytes([LARGE[0] ^ 1]) + LARGE[1:], warm=LARGE)

    async def work(one: Reading) -> None:
        with pytest.raises(Damaged):
            await gathered(one.pieces(blob))
        for _ in range(3):
            assert await gathered(one.pieces(blob)) == LARGE

    run(store, work)


def test_a_store_that_does_not_answer_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_ANSWER_S", 0.0)
    monkeypatch.setattr(reading, "_SLOWEST_BYTES_S", 1 << 40)
    store = CountingStore()

    async def work(one: Reading) -> None:
        store.may_answer.clear()
        for asked in (one.whole(small), one.part(large, 10, 10), one.unchecked(large, 0, 10)):
            with pytest.raises(StoreAway):
                await asyncio.wait_for(asked, 30)
        store.may_answer.set()

    small, large = stored(store, SMALL), stored(store, LARGE)
    run(store, work)


def test_a_range_is_checked_from_the_first_unless_a_whole_object_cannot_be_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    flipped = bytearray(LARGE)
    flipped[3 * BLOCK_BYTES] ^= 1
    expected = LARGE[3 * BLOCK_BYTES :][:9]
    for name in ("part", "checked"):
        store = CountingStore()
        blob = stored(store, LARGE, hot=bytes(flipped), warm=LARGE)
        assert run(store, partial(ranged, blob, name)) == expected
        monkeypatch.setattr(reading, "LARGE_BYTES", SMALL_BYTES)


def test_what_has_no_right_copy_is_never_given_for_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where reading copies takes longer than one is left alone, so that each is asked again."""
    monkeypatch.setattr(reading, "LARGE_BYTES", SMALL_BYTES)
    monkeypatch.setattr(reading, "_DAMAGED_S", 0.0)
    store = MemoryStore()
    flipped = bytes([LARGE[0] ^ 1]) + LARGE[1:]
    blob = stored(store, LARGE, hot=flipped, warm=flipped, cold=flipped)
    with pytest.raises(AllDamaged):
        run(store, lambda one: one.checked(blob, 0, 9))


def large_objects(store: MemoryStore) -> dict[bytes, Blob]:
    """Eight, a little more than is read as a range costs."""
    found = {}
    for number in range(8):
        data = hashlib.shake_256(bytes([number])).digest(SMALL_BYTES + 1)
        key = f"general/studies/1/2/{number}/x.dcm"
        store.create(NewObject("general", "hot", key, data))
        sha256, size = hashlib.sha256(data).hexdigest(), len(data)
        ref = ObjectRef(tenant="general", store="hot", key=key, length=size, size=size, sha256=sha256)
        found[data] = Blob((ref,))
    return found


def test_no_more_large_objects_are_read_at_once_than_may_be_held() -> None:
    store = CountingStore()
    objects = large_objects(store)

    async def work(one: Reading) -> list[bytes]:
        store.may_answer.clear()
        readers = [asyncio.ensure_future(one.whole(blob)) for blob in objects.values()]
        async with asyncio.timeout(60):
            while len(store.reads) < reading._LARGE_READS_MAX:
                await asyncio.sleep(0)
        for _ in range(1000):
            await asyncio.sleep(0)
        assert len(store.reads) == reading._LARGE_READS_MAX
        store.may_answer.set()
        return await asyncio.gather(*readers)

    assert run(store, work) == list(objects)


def test_nobody_waits_for_all_who_wait_for_a_store_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    store = CountingStore()
    objects = large_objects(store)
    monkeypatch.setattr(reading, "_ANSWER_S", 0.0)
    monkeypatch.setattr(reading, "_SLOWEST_BYTES_S", 1 << 40)

    async def work(one: Reading) -> list[bytes | BaseException]:
        # Those that are being read have all the time there is.
        for _ in range(reading._LARGE_READS_MAX):
            await one._large_reads.acquire()
        async with asyncio.timeout(60):
            return await asyncio.gather(*map(one.whole, objects.values()), return_exceptions=True)

    assert {type(one) for one in run(store, work)} == {StoreAway}


async def ranged(blob: Blob, name: str, one: Reading) -> bytes:
    read = one.part if name == "part" else one.checked
    return await read(blob, 3 * BLOCK_BYTES, 9)


def test_what_breaks_off_is_not_ended(written: io.StringIO) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"the beginning"
        raise StoreAway("gone")

    async def run() -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        await Streamed(pieces())({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)
        return sent

    start, piece = asyncio.run(run())
    assert (start["status"], piece["body"], piece["more_body"]) == (200, b"the beginning", True)
    assert '"kind": "StoreAway"' in written.getvalue()
    assert "Traceback" not in written.getvalue()


def test_an_archive_is_not_asked_also_where_it_might_answer() -> None:
    store = CountingStore()
    blob = stored(store, SMALL, cold=SMALL)
    store.archived = ("cold",)
    for read in (lambda one: one.whole(blob), lambda one: one.part(blob, 0, 9), lambda one: one.check_online(blob)):
        with pytest.raises(NotOnline):
            run(store, read)
    assert "cold" not in {name for name, _, _ in store.reads}


def test_a_range_of_what_is_large_is_checked_once_the_whole_was_read_through(
    tmp_path: Path,
) -> None:
    store = CountingStore()
    blob = stored(store, LARGE)
    kept = Kept(1 << 20, tmp_path, 1 << 20)
    run(store, lambda one: one.part(blob, 10, 10), kept, held_bytes_max=0)
    # What was fit a moment ago is hurt now, under the same name and of the same length.
    hurt = CountingStore()
    flipped = bytearray(LARGE)
    flipped[3 * BLOCK_BYTES] ^= 1
    stored(hurt, LARGE, hot=bytes(flipped), warm=LARGE)
    assert run(hurt, lambda one: one.part(blob, 3 * BLOCK_BYTES, 10), kept, 0) == LARGE[3 * BLOCK_BYTES :][:10]
    assert [name for name, _, _ in hurt.reads] == ["hot", "warm"]
    assert {length for _, _, length in hurt.reads} == {BLOCK_BYTES}, "and no more than its block is read"


def test_the_last_piece_of_what_is_wrong_is_kept_back() -> None:
    store = MemoryStore()
    blob = stored(store, LARGE, hot=bytes([LARGE[0] ^ 1]) + LARGE[1:])

    given: list[bytes] = []

    async def work(one: Reading) -> None:
        async for piece in one.pieces(blob):
            given.append(piece)

    with pytest.raises(Damaged):
        run(store, work)
    assert 0 < sum(map(len, given)) < len(LARGE)


def test_a_header_is_compared_when_the_whole_is_right() -> None:
    store = MemoryStore()
    blob = stored(store, SMALL)
    right: list[tuple[str, bytes]] = []

    async def work(one: Reading) -> Any:
        one.on_right = lambda digest, first: right.append((digest, first[:10]))
        return await one.whole(blob)

    run(store, work)
    assert right == [(blob.digest, SMALL[:10])]


def test_what_a_disk_hurt_is_worked_out_again(tmp_path: Path) -> None:
    kept = Kept(1 << 20, tmp_path, 1 << 20)
    kept.put("a name", b"what was worked out")
    kept.close()
    again = Kept(1 << 20, tmp_path, 1 << 20)
    assert again.at_hand("a name") is None
    assert again.get("a name") == b"what was worked out"
    assert again.at_hand("a name") == b"what was worked out"
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert Kept(1 << 20, tmp_path, 1 << 20).get("a name") is None


def several(store: MemoryStore, count: int, size: int) -> list[Blob]:
    blobs = []
    for number in range(count):
        data = hashlib.shake_256(str(number).encode()).digest(size)
        key = f"general/studies/1/2/{number}/x.dcm"
        store.create(NewObject("general", "hot", key, data))
        sha256 = hashlib.sha256(data).hexdigest()
        blobs.append(Blob((ObjectRef(tenant="general", store="hot", key=key, length=size, size=size, sha256=sha256),)))
    return blobs


def test_of_many_the_next_are_read_meanwhile_and_no_more_than_that() -> None:
    store = CountingStore()
    blobs = several(store, 40, 1000)
    large = stored(store, LARGE)

    async def work(one: Reading) -> None:
        async with aclosing(one.each([*blobs[:3], large, None, *blobs[3:]])) as each:
            first = await anext(each)
            assert first is not None
            assert hashlib.sha256(first).hexdigest() == blobs[0].digest
            await asyncio.wait_for(until(lambda: len(store.reads) == 14), 60)
            assert [await anext(each) is None for _ in range(4)] == [False, False, True, True]
            rest = [hashlib.sha256(data or b"").hexdigest() async for data in each]
        assert rest == [blob.digest for blob in blobs[3:]]

    run(store, work)
    assert len(store.reads) == 40, "each once, and nothing of what is large"


def test_what_is_read_ahead_has_a_budget_and_is_there_for_who_asks() -> None:
    store = CountingStore()
    blobs = several(store, 12, SMALL_BYTES)
    store.may_answer.clear()

    async def work(one: Reading) -> None:
        for blob in blobs:
            one.expect_whole(blob)
        await asyncio.wait_for(until(lambda: len(store.reads) == 4), 60)
        asking = asyncio.ensure_future(one.whole(blobs[0]))
        store.may_answer.set()
        assert hashlib.sha256(await asking).hexdigest() == blobs[0].digest

    run(store, work, held_bytes_max=1 << 30)
    assert len(store.reads) == 4, "16 MB at once, and who asks shares the read"


async def until(so: Callable[[], bool]) -> None:
    while not so():
        await asyncio.sleep(0)


def test_what_is_to_be_done_behind_an_answer_is_done_when_all_of_it_was_sent() -> None:
    done: list[Any] = []

    async def send(message: Message) -> None:
        done.append(message.get("body"))

    async def receive() -> Message:
        raise AssertionError("it asks for nothing")

    answer = AtHand((b"one", b"other"), {}, then=lambda: done.append("then"))
    asyncio.run(answer({"type": "http"}, receive, send))
    assert done == [None, b"one", b"other", "then"]


def test_who_reads_a_part_of_what_is_held_keeps_no_more_than_that() -> None:
    blob = stored(store := CountingStore(), LARGE)

    async def work(one: Reading) -> None:
        first, other = await one.view(blob, 0, 10), await one.view(blob, 50, 10)
        assert bytes(first) + bytes(other) == LARGE[:10] + LARGE[50:60]
        assert [len(part.obj) for part in (first, other) if isinstance(part.obj, bytes)] == [10, 10]

    run(store, work, held_bytes_max=8 * len(LARGE))
    assert len(store.reads) == 1
