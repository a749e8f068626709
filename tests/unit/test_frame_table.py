"""Which bytes of encapsulated pixel data are which frame, found as a file comes in pieces."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from gateway import reading as module
from gateway.dicomweb.frame_table import FrameTables, codestream
from gateway.dicomweb.heads import Head, Pixels
from gateway.kept import Kept
from gateway.problem import Problem
from gateway.reading import SMALL_BYTES, Blob, Reading
from gateway.workers import Workers
from streams.events import ObjectRef
from streams.memory_store import MemoryStore
from streams.step import NewObject

BEFORE = b"a header, and more of it"
BEHIND = b"\xfc\xff\xfc\xffOB\0\0\2\0\0\0\0\0"


def item(value: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


def frame(number: int, length: int) -> bytes:
    return b"\xff\xd8" + bytes([number]) * (length - 4) + b"\xff\xd9"


def file_of(frames: Sequence[Sequence[bytes]], table: Sequence[int] = ()) -> bytes:
    """Each frame is its fragments."""
    basic = item(struct.pack(f"<{len(table)}I", *table))
    fragments = b"".join(item(one) for each in frames for one in each)
    return BEFORE + basic + fragments + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) + BEHIND


def found(data: bytes, count: int, offsets: bytes = b"", folder: Path | None = None) -> list[bytes]:
    store = MemoryStore()
    ref = store.create(NewObject("general", "hot", "x", data)).ref
    assert ref.sha256 == hashlib.sha256(data).hexdigest()
    with closing(Kept(1 << 20, folder, 1 << 20)) as kept:
        return asyncio.run(_found(store, ref, len(data), count, offsets, kept))


async def _found(store: MemoryStore, ref: ObjectRef, size: int, count: int, offsets: bytes, kept: Kept) -> list[bytes]:
    workers = Workers(2)
    reading = Reading(store, workers, kept, 1 << 20)
    return await _frames(FrameTables(reading, workers, kept), reading, Blob((ref,)), size, count, offsets)


async def _frames(
    tables: FrameTables, reading: Reading, blob: Blob, size: int, count: int, offsets: bytes = b""
) -> list[bytes]:
    head = Head(
        model=b"", offsets=offsets, read=0, sha256="", inflated=False, explicit=True, big=False, bulk={}, pixels=None
    )
    pixels = Pixels(
        tag=0x7FE00010,
        vr="OB",
        at=len(BEFORE),
        end=size,
        encapsulated=True,
        big=False,
        frames=count,
        frame_bits=0,
        image=None,
        why="",
    )
    table = await tables.of(blob, head, pixels)
    return [bytes(codestream(await reading.view(blob, start, end - start))) for start, end in pairwise(table)]


FRAGMENTED = [
    [frame(1, 40)[:10], frame(1, 40)[10:]],
    [frame(2, 30)],
    [frame(3, 20)[:6], frame(3, 20)[6:12], frame(3, 20)[12:]],
]
WHOLE = [frame(1, 40), frame(2, 30), frame(3, 20)]


@pytest.mark.parametrize("table", [(), (0, 56, 94), (0, 1, 2), (0, 56), (94, 56, 0), (0, 56, 100_000)])
def test_frames_of_several_fragments_with_a_table_or_without_or_with_one_that_lies(table: Sequence[int]) -> None:
    assert found(file_of(FRAGMENTED, table), 3) == WHOLE


def test_an_extended_table_counts() -> None:
    assert found(file_of(FRAGMENTED), 3, struct.pack("<3Q", 0, 56, 94)) == WHOLE


def test_one_frame_is_all_fragments_however_they_begin() -> None:
    assert found(file_of([[b"no", b"\xff\xd8", b"head"]]), 1) == [b"no\xff\xd8head"]


@pytest.mark.parametrize(("length", "files"), [(10_000, 0), (SMALL_BYTES, 2)])
def test_a_table_of_what_is_read_anyway_is_no_file(tmp_path: Path, length: int, files: int) -> None:
    one = frame(1, length)
    assert found(file_of([[one]]), 1, folder=tmp_path) == [one]
    # Of what is large, the digests of its blocks are the other.
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == files


def test_a_table_of_a_damaged_copy_is_read_again_once_the_file_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large file, what is read before that may be wrong: such a table was kept on disk, for ever."""
    monkeypatch.setattr(module, "LARGE_BYTES", SMALL_BYTES)
    frames = [frame(1, 1000), frame(2, SMALL_BYTES), frame(3, 1000)]
    data = file_of([[one] for one in frames], (0, 1008, 1008 + SMALL_BYTES + 8))
    damaged = bytearray(data)
    damaged[len(BEFORE) + 8 + 4] ^= 2
    store = MemoryStore()
    good = store.create(NewObject("general", "backup", "x", data)).ref
    hot = structs.replace(store.create(NewObject("general", "hot", "x", bytes(damaged))).ref, sha256=good.sha256)

    async def asked(*, is_first: bool) -> list[bytes]:
        with closing(Kept(1 << 20, tmp_path, 1 << 20)) as kept:
            workers = Workers(2)
            reading = Reading(store, workers, kept, 1 << 20)
            ask = partial(_frames, FrameTables(reading, workers, kept), reading, Blob((hot, good)), len(data), 3)
            if is_first:
                with pytest.raises(Problem):
                    await ask()
                await reading.checked(Blob((hot, good)), 0, 1)
            return await ask()

    assert asyncio.run(asked(is_first=True)) == frames
    assert asyncio.run(asked(is_first=False)) == frames, "at the next start"


def test_a_frame_in_one_piece_is_not_copied() -> None:
    held = item(b"one") + item(b"other")
    assert codestream(memoryview(held)) == b"oneother"
    alone = codestream(memoryview(held)[:11])
    assert isinstance(alone, memoryview)
    assert (alone.obj, bytes(alone)) == (held, b"one")


def test_frames_that_cannot_be_told_apart() -> None:
    with pytest.raises(Problem) as refused:
        found(file_of([[b"one", b"of", b"them"]]), 2)
    assert refused.value.status == 422
    with pytest.raises(Problem):
        found(BEFORE + b"no items at all, whatever was said", 2)


@given(st.lists(st.lists(st.binary(min_size=2, max_size=9), min_size=1, max_size=1), min_size=1, max_size=6))
def test_a_fragment_each_is_a_frame_each(frames: list[list[bytes]]) -> None:
    assert found(file_of(frames), len(frames)) == [each[0] for each in frames]


@given(st.binary(max_size=60))
def test_any_bytes_are_frames_or_refused(raw: bytes) -> None:
    with suppress(Problem):
        assert len(codestream(memoryview(raw))) <= len(raw)
