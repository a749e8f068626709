"""Which bytes of encapsulated pixel data are which frame, found as a file comes in pieces."""

from __future__ import annotations

import asyncio
import hashlib
import struct
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicomweb.frame_table import FrameTables, codestream
from gateway.dicomweb.heads import Head, Pixels
from gateway.kept import Kept
from gateway.problem import Problem
from gateway.reading import Blob, Reading
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


def found(data: bytes, count: int, offsets: bytes = b"") -> list[bytes]:
    store = MemoryStore()
    ref = store.create(NewObject("general", "hot", "x", data)).ref
    assert ref.sha256 == hashlib.sha256(data).hexdigest()
    return asyncio.run(_found(store, ref, len(data), count, offsets))


async def _found(store: MemoryStore, ref: ObjectRef, size: int, count: int, offsets: bytes) -> list[bytes]:
    workers, kept = Workers(2), Kept(1 << 20, None, 0)
    reading = Reading(store, workers, kept, 1 << 20)
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
    blob = Blob((ref,))
    table = await FrameTables(reading, workers, kept).of(blob, head, pixels)
    return [codestream(await reading.part(blob, start, end - start)) for start, end in pairwise(table)]


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
        assert len(codestream(raw)) <= len(raw)
