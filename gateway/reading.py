"""Bytes out of the object store for many readers: by range, from where they are fastest, checked, and fetched once.

What is small is read whole and checked against its digest. Of what is larger, a range is read, and checked against the
digests of its blocks, which are worked out when the whole was read through once (docs/decisions/0062, 0069).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

from gateway.flights import Flights
from gateway.kept import Kept, Recent
from gateway.workers import Workers
from streams.events import ObjectRef
from streams.objects import Absent, Damaged, ObjectStore, StoreAway

T = TypeVar("T")

# Read whole rather than in part: a range of it costs as much.
SMALL_BYTES: Final = 4 << 20
# Never read whole into memory.
LARGE_BYTES: Final = 64 << 20
BLOCK_BYTES: Final = 128 << 10
_DIGEST_BYTES: Final = 32
_PIECE_BYTES: Final = 1 << 20
_READS_MAX: Final = 32
_LARGE_READS_MAX: Final = 4
_KNOWN_DAMAGED_MAX: Final = 10_000
# How long a copy that was found damaged is not asked for, where there is no other. A person may mend it, and nobody
# starts the gateway for that.
_DAMAGED_S: Final = 10.0
# How long a store may take until it answers, and then for each piece; a store that is only slow has this rate.
_ANSWER_S: Final = 10.0
_SLOWEST_BYTES_S: Final = 4 << 20
_CHECKS_WAITING_MAX: Final = 8
# What is read before anybody asks for it, at once: of ranges and neighbours, and behind each answer of many files.
_EXPECTED_MAX: Final = 8
_EXPECTED_BYTES_MAX: Final = 16 << 20
_AHEAD_MAX: Final = 16
_AHEAD_BYTES_MAX: Final = 16 << 20


class NotOnline(Exception):
    """No store has the bytes at once."""


class AllDamaged(Exception):
    """Every copy has other bytes than its digest says."""


@dataclass(frozen=True)
class Blob:
    """Bytes that are named by their digest: an original, or a part of a pack.

    `places` are where it is, the fastest first; offset, length and digest are the same in each.
    """

    places: tuple[ObjectRef, ...]

    @property
    def digest(self) -> str:
        return self.places[0].sha256

    @property
    def length(self) -> int:
        return self.places[0].length

    @property
    def is_small(self) -> bool:
        return self.length <= SMALL_BYTES

    def is_whole_for(self, length: int) -> bool:
        """Whether so many bytes of it are had by reading, and checking, all of it."""
        return self.is_small or (length * 4 >= self.length and self.length <= LARGE_BYTES)


class Reading:
    """For one event loop. `kept` holds what was worked out of large blobs; `held_bytes_max` are of checked bytes."""

    def __init__(self, store: ObjectStore, workers: Workers, kept: Kept, held_bytes_max: int) -> None:
        self._store, self._workers, self._kept = store, workers, kept
        self._archived = frozenset(store.archived)
        self._held = Recent(held_bytes_max)
        self._flights, self._checks, self._expected = Flights(), Flights(), Flights()
        self._expected_bytes = 0
        # Of their own: one in which a store that is frozen holds a thread is left, and the others go on.
        self._threads, self._checking = ThreadPoolExecutor(_READS_MAX, "reading"), asyncio.Semaphore(1)
        # Of what is read whole and is not small: this bounds memory beside what is held.
        self._large_reads = asyncio.Semaphore(_LARGE_READS_MAX)
        # Copies that were found damaged, and until when they are not asked for.
        self._damaged: OrderedDict[tuple[str, str, str], float] = OrderedDict()
        # Called with the digest and the first bytes of what was found to be right as a whole.
        self.on_right: Callable[[str, bytes], None] = lambda _, __: None

    async def whole(self, blob: Blob) -> bytes:
        """All of it, checked: for what is at most LARGE_BYTES. Raises NotOnline, AllDamaged, StoreAway."""
        held = self._held.get(blob.digest)
        if held is not None:
            return held
        return await self._flights.shared(blob.digest, lambda: self._from_places(blob, self._whole))

    async def part(self, blob: Blob, start: int, length: int) -> bytes:
        """Bytes from `start`, counted from the blob's beginning; fewer where it ends. Raises as `whole` does."""
        return bytes(await self.view(blob, start, length))

    async def view(self, blob: Blob, start: int, length: int) -> memoryview:
        """As `part`, of bytes that are held, without a copy of them."""
        length = max(0, min(length, blob.length - start))
        if blob.is_whole_for(length):
            return memoryview(await self.whole(blob))[start : start + length]
        held = self._held_part(blob, start, length)
        if held is not None:
            return memoryview(held)
        blocks = await self._blocks(blob)
        if blocks is None:
            if blob.length <= LARGE_BYTES:
                return memoryview((await self.whole(blob))[start : start + length])
            self._check_later(blob)
        return memoryview(
            await self._flights.shared(
                (blob.digest, start, length), lambda: self._held_range(blob, start, length, blocks)
            )
        )

    def _held_part(self, blob: Blob, start: int, length: int) -> bytes | None:
        """A range of its own that is held; or a copy of its bytes: who reads it slowly is not to keep all of it."""
        whole = self._held.get(blob.digest)
        return self._held.get(_range_name(blob, start, length)) if whole is None else whole[start : start + length]

    def _holds(self, blob: Blob, start: int, length: int) -> bool:
        return any(self._held.get(name) is not None for name in (blob.digest, _range_name(blob, start, length)))

    async def _held_range(self, blob: Blob, start: int, length: int, blocks: bytes | None) -> bytes:
        data = await self._from_places(blob, lambda place: self._range(place, start, length, blocks))
        if blocks is not None and length <= SMALL_BYTES:
            self._held.put(_range_name(blob, start, length), data)
        return data

    async def long_part(self, blob: Blob, start: int, length: int) -> AsyncIterator[bytes]:
        """As `part`, a megabyte at a time."""
        for at in range(start, start + length, _PIECE_BYTES):
            yield await self.part(blob, at, min(_PIECE_BYTES, start + length - at))

    def expect(self, blob: Blob, start: int, length: int) -> None:
        """Reads a range for who will want it next, unless enough is being read already."""
        if blob.is_small:
            self.expect_whole(blob)
        elif length <= SMALL_BYTES and not self._holds(blob, start, length):
            self._expect((blob.digest, start), length, lambda: self.part(blob, start, length))

    def expect_whole(self, blob: Blob) -> None:
        """As `expect`, of all of what is small."""
        if blob.is_small and self._held.get(blob.digest) is None:
            self._expect(blob.digest, blob.length, lambda: self.whole(blob))

    def _expect(self, key: Hashable, length: int, read: Callable[[], Awaitable[bytes]]) -> None:
        if len(self._expected) >= _EXPECTED_MAX or self._expected_bytes + length > _EXPECTED_BYTES_MAX:
            return

        async def counted() -> None:
            try:
                await read()
            finally:
                self._expected_bytes -= length

        if self._expected.begin(key, counted):
            self._expected_bytes += length

    async def each(self, blobs: Sequence[Blob | None]) -> AsyncGenerator[bytes | None]:
        """Of one after the other all its bytes; None where it is not small, or None itself.

        Those that come next are being read meanwhile. Close it. Raises as `whole` does.
        """
        under_way: deque[asyncio.Task[bytes] | bytes | None] = deque()
        begun, taken = 0, 0
        try:
            for blob in blobs:
                while (
                    begun < len(blobs) and len(under_way) < _AHEAD_MAX and (taken < _AHEAD_BYTES_MAX or not under_way)
                ):
                    coming = blobs[begun]
                    under_way.append(self._begun_whole(coming))
                    taken += 0 if coming is None else min(coming.length, SMALL_BYTES)
                    begun += 1
                first = under_way.popleft()
                taken -= 0 if blob is None else min(blob.length, SMALL_BYTES)
                yield await first if isinstance(first, asyncio.Task) else first
        finally:
            for one in under_way:
                if isinstance(one, asyncio.Task):
                    one.cancel()
                    one.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _begun_whole(self, blob: Blob | None) -> asyncio.Task[bytes] | bytes | None:
        if blob is None or not blob.is_small:
            return None
        held = self._held.get(blob.digest)
        return asyncio.create_task(self.whole(blob)) if held is None else held

    async def is_checked(self, blob: Blob) -> bool:
        """Whether what `part` gives is: not yet of what is large and was not read through."""
        return blob.length <= LARGE_BYTES or await self._blocks(blob) is not None

    async def checked(self, blob: Blob, start: int, length: int) -> bytes:
        """As `part`, but never unchecked: what is large is read through first, where that was not done yet."""
        if blob.length > LARGE_BYTES and await self._blocks(blob) is None:
            await self._checks.shared(blob.digest, lambda: self._read_through(blob))
        return await self.part(blob, start, length)

    async def unchecked(self, blob: Blob, start: int, length: int) -> bytes:
        """As `part`, for who has another way to know whether it is right: headers, which are many and short."""
        held = self._held.get(blob.digest)
        if held is not None:
            return held[start : start + length]

        async def read(place: ObjectRef) -> bytes:
            count = min(length, place.length - start)
            return await self.in_thread(lambda: self._store.read_range(place, place.offset + start, count), count)

        return await self._flights.shared((blob.digest, start, -length), lambda: self._from_places(blob, read))

    def where_fastest(self, blob: Blob, start: int, length: int) -> bytes | None:
        """As `unchecked`, for a thread that reads many: of the first place, if it is there. Raises StoreAway."""
        held = self._held.get(blob.digest)
        if held is not None:
            return held[start : start + length]
        online = (one for one in blob.places if one.store not in self._archived and _at(one) not in self._damaged)
        place = next(online, None)
        if place is None:
            return None
        try:
            return self._store.read_range(place, place.offset + start, min(length, place.length - start))
        except (Absent, Damaged):
            return None

    async def in_thread(self, work: Callable[[], T], length: int) -> T:
        """What reads `length` bytes of stores, in a thread. Raises StoreAway where it does not end in time."""
        return await _in_time(asyncio.get_running_loop().run_in_executor(self._threads, work), length)

    async def check_online(self, blob: Blob) -> None:
        """Raises NotOnline where all of its places are archived or without it, AllDamaged, StoreAway."""
        await self.unchecked(blob, 0, 1)

    async def pieces(self, blob: Blob) -> AsyncIterator[bytes]:
        """All of it, in pieces of about 1 MB, and the last one only after the whole was found to be right.

        Raises as `whole` does before the first piece, and Damaged, Absent, StoreAway behind it.
        """
        if blob.is_small:
            yield await self.whole(blob)
            return
        place, stream, first = await self._from_places(blob, self._begun)
        checked = _Checked(first)
        last = first
        while (piece := await _in_time(anext(stream, None))) is not None:
            await self._workers.run(lambda piece=piece: checked.add(piece))  # type: ignore[misc]
            yield last
            last = piece
        if checked.whole() != blob.digest:
            self._is_damaged(place)
            raise Damaged("its bytes are not those of its digest")
        self._kept.put(_name(blob.digest), checked.blocks())
        self._is_right(place, first)
        yield last

    async def _begun(self, place: ObjectRef) -> tuple[ObjectRef, AsyncIterator[bytes], bytes]:
        stream = self._store.pieces(place)
        return place, stream, await _in_time(anext(stream))

    async def _from_places(self, blob: Blob, read: Callable[[ObjectRef], Awaitable[T]]) -> T:
        damaged = False
        # What is large is on its way to a client before it shows that it is damaged: others come first.
        for place in sorted(blob.places, key=lambda place: _at(place) in self._damaged):
            if place.store in self._archived:
                continue  # It may take hours to answer.
            if self._damaged.get(_at(place), 0.0) > time.monotonic():
                damaged = True
                continue
            try:
                return await read(place)
            except Absent:
                continue
            except Damaged:
                damaged = True
                self._is_damaged(place)
        raise AllDamaged if damaged else NotOnline

    def _is_damaged(self, place: ObjectRef) -> None:
        """What a disk has hurt does not become whole by itself: it is left alone for a while."""
        structlog.get_logger().error("copy_damaged", store=place.store, digest=place.sha256)
        self._damaged[_at(place)] = time.monotonic() + _DAMAGED_S
        self._damaged.move_to_end(_at(place))
        while len(self._damaged) > _KNOWN_DAMAGED_MAX:
            self._damaged.popitem(last=False)

    def _is_right(self, place: ObjectRef, first: bytes) -> None:
        self._damaged.pop(_at(place), None)
        self.on_right(place.sha256, first)

    async def _whole(self, place: ObjectRef) -> bytes:
        """Read and compared in one go of a thread: this is what most of the bytes that a viewer sees go through."""
        if place.length <= SMALL_BYTES:
            data = await self.in_thread(lambda: self._store.read(place), place.length)
        else:
            # Behind a store that is frozen one does not wait for those who wait before.
            await _in_time(self._large_reads.acquire(), LARGE_BYTES)
            try:
                data, blocks = await self.in_thread(lambda: self._with_blocks(place), place.length)
            finally:
                self._large_reads.release()
            if blocks is not None:
                self._kept.put(_name(place.sha256), blocks)
        # A radiograph is asked for again, and hashing it takes longer than sending it.
        self._held.put(place.sha256, data)
        self._is_right(place, data)
        return data

    def _with_blocks(self, place: ObjectRef) -> tuple[bytes, bytes | None]:
        """With the digests of its blocks, where those are not at hand. In a thread."""
        data = self._store.read(place)
        return data, _digests(data) if self._kept.at_hand(_name(place.sha256)) is None else None

    async def _range(self, place: ObjectRef, start: int, length: int, blocks: bytes | None) -> bytes:
        first, end = (0, 0) if blocks is None else (start // BLOCK_BYTES, -(-(start + length) // BLOCK_BYTES))
        at, until = (start, start + length) if blocks is None else (first * BLOCK_BYTES, end * BLOCK_BYTES)
        wanted = min(until, place.length) - at
        expected = None if blocks is None else blocks[first * _DIGEST_BYTES : end * _DIGEST_BYTES]

        def read() -> bytes:
            data = self._store.read_range(place, place.offset + at, wanted)
            if len(data) != wanted or expected not in (None, _digests(data)):
                raise Damaged(place.key)
            return data

        return (await self.in_thread(read, wanted))[start - at : start - at + length]

    async def _blocks(self, blob: Blob) -> bytes | None:
        name = _name(blob.digest)
        known = self._kept.at_hand(name)
        return known if known is not None else await self._workers.run(lambda: self._kept.get(name))

    def _check_later(self, blob: Blob) -> None:
        """Reads it through once, one blob at a time: from then on every range of it is checked."""
        if len(self._checks) < _CHECKS_WAITING_MAX:
            self._checks.begin(blob.digest, lambda: self._read_through(blob))

    async def _read_through(self, blob: Blob) -> None:
        async with self._checking:
            for _ in blob.places:
                with suppress(Damaged):  # That copy is left alone, and the next one is read.
                    async for _ in self.pieces(blob):
                        pass
                    return
            # Reading one may take longer than another is left alone: each was read, and none was right.
            raise AllDamaged


def ahead_bytes(blobs: Sequence[Blob | None]) -> int:
    """What `Reading.each` holds of these at most."""
    return min(_AHEAD_BYTES_MAX + SMALL_BYTES, sum(min(blob.length, SMALL_BYTES) for blob in blobs if blob is not None))


class _Checked:
    """Digests of the whole and of its blocks, as pieces come."""

    def __init__(self, first: bytes) -> None:
        self._all, self._blocks, self._rest = hashlib.sha256(), bytearray(), b""
        self.add(first)

    def add(self, piece: bytes) -> None:
        self._all.update(piece)
        data = self._rest + piece
        end = len(data) // BLOCK_BYTES * BLOCK_BYTES
        self._blocks += _digests(memoryview(data)[:end])
        self._rest = data[end:]

    def whole(self) -> str:
        return self._all.hexdigest()

    def blocks(self) -> bytes:
        return bytes(self._blocks) + _digests(self._rest)


async def _in_time(answer: Awaitable[T], length: int = 0) -> T:
    """The answer of a store. Raises StoreAway where it does not come: the store's own patience is that of a router, and
    here a person waits."""
    try:
        async with asyncio.timeout(_ANSWER_S + length / _SLOWEST_BYTES_S):
            return await answer
    except TimeoutError:
        raise StoreAway("the object store does not answer in time") from None


def _digests(data: bytes | memoryview) -> bytes:
    view = memoryview(data)
    return b"".join(hashlib.sha256(view[at : at + BLOCK_BYTES]).digest() for at in range(0, len(view), BLOCK_BYTES))


def _name(digest: str) -> str:
    return f"blocks {BLOCK_BYTES} {digest}"


def _range_name(blob: Blob, start: int, length: int) -> str:
    return f"{blob.digest} {start} {length}"


def _at(place: ObjectRef) -> tuple[str, str, str]:
    return place.store, place.key, place.sha256
