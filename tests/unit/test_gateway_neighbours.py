"""The slices that a reader comes to next: as many are read as it is known which way he goes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import cast

import pytest

from gateway.dicomweb.neighbours import Neighbours
from gateway.dicomweb.served import Served
from gateway.dicomweb.shown import Shown
from gateway.kept import Kept
from gateway.reading import Blob, Reading
from gateway.workers import Workers
from streams.events import ObjectRef
from streams.memory_store import MemoryStore
from streams.part10 import EXPLICIT_VR_LITTLE_ENDIAN
from streams.step import NewObject
from tests.images import CT

SLICES = 20


class Series:
    """Knows its slices, and which of them were read."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.slices = [self._slice(number) for number in range(SLICES)]

    def _slice(self, number: int) -> Served:
        data = hashlib.shake_256(str(number).encode()).digest(1000)
        ref = self.store.create(NewObject("general", "hot", f"general/{number}.dcm", data)).ref
        return Served("1", "2", f"3.{number}", CT, EXPLICIT_VR_LITTLE_ENDIAN, 1, number, 8, 8, Blob((ref,)), ())

    def beside(self, served: Served) -> tuple[Sequence[Served], int]:
        return self.slices, self.slices.index(served)

    def read_behind(self, places: Sequence[int], asked: int | None = None) -> set[int]:
        """What is read behind the last of these, where what they led to before is held no more; and when one is asked
        for next."""
        read: set[int] = set()

        class Counting(MemoryStore):
            def read(_, ref: ObjectRef) -> bytes:
                read.add(int(ref.key.removeprefix("general/").removesuffix(".dcm")))
                return self.store.read(ref)

        async def scrolled() -> None:
            reading = Reading(Counting(), Workers(2), Kept(1 << 20, None, 0), held_bytes_max=0)
            neighbours = Neighbours(cast(Shown, self), reading)
            for place in places:
                read.clear()
                neighbours.shown(self.slices[place], EXPLICIT_VR_LITTLE_ENDIAN)
                await _all_done()
            if asked is not None:
                neighbours.asked(self.slices[asked])
                await _all_done()

        asyncio.run(scrolled())
        return read


async def _all_done() -> None:
    while len(asyncio.all_tasks()) > 1:
        await asyncio.sleep(0)
    await asyncio.sleep(0)  # What is done is forgotten a turn later.


@pytest.mark.parametrize(
    ("places", "read"),
    [
        ([0], {1, 2, 3, 4}),  # Who begins at the first goes through all of them.
        ([10], {11}),
        ([10, 11], {12, 13, 14, 15}),
        ([10, 12], {13, 14, 15, 16}),  # Fast.
        ([10, 11, 10], {9, 8, 7, 6}),
        ([10, 9], {8, 7, 6, 5}),
        ([10, 11, 11], {12, 13, 14, 15}),
        ([0, 1, 10], {11}),
        ([19, 3], {2}),
        ([17, 18], {19}),
    ],
)
def test_four_are_read_where_a_step_says_which_way_and_else_one(places: list[int], read: set[int]) -> None:
    assert Series().read_behind(places) == read


def test_what_is_asked_for_of_a_series_that_is_looked_at_is_read_at_once_and_of_no_other() -> None:
    series = Series()
    assert series.read_behind([10], asked=15) == {11, 15}
    assert series.read_behind([], asked=15) == set()
