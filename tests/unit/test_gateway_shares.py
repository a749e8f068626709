"""What answers of DICOMweb hold while they are made and read is of their client's share; nobody waits for another's."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEG2000Lossless

from gateway.dicomweb.frame_table import FrameTables
from gateway.dicomweb.frames import Frames
from gateway.dicomweb.heads import Heads
from gateway.dicomweb.instances import _in_turn
from gateway.dicomweb.retrieving import Retrieving
from gateway.dicomweb.served import Served
from gateway.kept import Kept
from gateway.memory import Memory, Share
from gateway.problem import Problem
from gateway.reading import Blob, Reading
from gateway.workers import Workers
from streams.events import ObjectRef
from streams.memory_store import MemoryStore
from streams.step import NewObject
from tests.images import CT, compressed, native

KEY = "general/studies/1/2/3/x.dcm"
FILE = native(np.arange(64 * 64, dtype=np.uint16).reshape((1, 64, 64)))
MEMORY_BYTES = 1 << 20
SOON_S, LATE_S = 0.02, 30.0


def served(file: bytes = FILE, syntax: str = str(ExplicitVRLittleEndian)) -> tuple[Served, MemoryStore]:
    store = MemoryStore()
    store.create(NewObject("general", "hot", KEY, file))
    sha256 = hashlib.sha256(file).hexdigest()
    ref = ObjectRef(tenant="general", store="hot", key=KEY, length=len(file), size=len(file), sha256=sha256)
    return Served("1", "2", "3", CT, syntax, 1, 1, 64, 64, Blob((ref,)), ()), store


async def no_proofs(_: Sequence[str]) -> Mapping[str, str]:
    return {}


def test_who_waits_for_room_keeps_nobody_from_his_turn() -> None:
    """The one address has its half of the memory, by answers that it does not read."""
    one, store = served()

    async def asked() -> None:
        workers, memory, turn = Workers(2), Memory(MEMORY_BYTES, LATE_S), asyncio.Semaphore(1)
        reading = Reading(store, workers, Kept(1 << 20, None, 0), 1 << 20)
        parts = cast(Any, SimpleNamespace(workers=workers))
        await memory.take("slow", MEMORY_BYTES // 2)

        async def recoded(client: str) -> bytes | None:
            return await _in_turn(parts, reading, turn, Share(memory, client), one, str(ExplicitVRBigEndian))

        slow = [asyncio.ensure_future(recoded("slow")) for _ in range(3)]
        for _ in range(3):
            await asyncio.wait_for(recoded("quick"), LATE_S / 2)
        assert not any(task.done() for task in slow)
        memory.give("slow", MEMORY_BYTES // 2)
        (made,) = set(await asyncio.gather(*slow))
        assert made is not None
        assert memory.taken == 6 * len(made)

    asyncio.run(asked())


@pytest.mark.parametrize("syntax", [str(ExplicitVRLittleEndian), str(JPEG2000Lossless)])
def test_a_frame_that_is_not_read_does_not_keep_the_file_that_it_was_in(syntax: str) -> None:
    """Its own length is what is taken of the share; a frame of 300 kB held 4 MB."""
    pixels = np.arange(10 * 64 * 64, dtype=np.uint16).reshape((10, 64, 64))
    codestreams = [b"\xff\x4f" + bytes([number]) * 5000 for number in range(10)]
    is_native = syntax == ExplicitVRLittleEndian
    one, store = served(native(pixels) if is_native else compressed(pixels, codestreams, syntax), syntax)

    async def asked() -> bytes | memoryview:
        workers, kept = Workers(2), Kept(1 << 20, None, 0)
        reading = Reading(store, workers, kept, 1 << 20)
        frames = Frames(reading, Heads(reading, workers, kept, no_proofs), FrameTables(reading, workers, kept), workers)
        return await frames.frame(await frames.source(one), 3, syntax)

    frame = asyncio.run(asked())
    assert frame == (pixels[3].tobytes() if is_native else codestreams[3])
    held = frame.obj if isinstance(frame, memoryview) else frame
    assert len(held) == len(frame)


def test_metadata_that_are_not_read_are_of_the_share() -> None:
    one, store = served()

    async def asked() -> None:
        workers, memory = Workers(2), Memory(MEMORY_BYTES, SOON_S)
        kept = Kept(1 << 20, None, 0)

        room = Retrieving.__new__(Retrieving)
        room._heads = Heads(Reading(store, workers, kept, 1 << 20), workers, kept, no_proofs)
        share = Share(memory, "slow")
        models = room._models(share, [one] * 20, "")
        (first, *_) = some = await anext(models)
        assert memory.taken == len(some) * len(first) > 0
        await share.take(MEMORY_BYTES // 2 - memory.taken)
        with pytest.raises(Problem):
            await anext(room._models(Share(memory, "slow"), [one], ""))
        share.give(MEMORY_BYTES // 2 - len(some) * len(first))
        assert [model async for more in models for model in more] == [first] * (20 - len(some))
        assert memory.taken == 0

    asyncio.run(asked())
