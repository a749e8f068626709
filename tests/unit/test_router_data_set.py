"""Where a data set goes as it comes in: the stored file is the same whichever way it took, and room is bounded."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.dicom_router.data_set import DataSet, Fate, Room
from producers.dicom_router.object_buffer import BUFFER_BYTES_MIN, Budget, BufferPool
from streams.stored_file import stored_file
from tests.routers import CT, EXPLICIT

NAMED = CT, "1.2.3.4.5"
MIB = 1 << 20
PATTERN = b"".join(number.to_bytes(4, "little") for number in range(65_536))


def room(
    memory: int = 64 * MIB, disk: int = 256 * MIB, object_max: int = 256 * MIB, folder: Path | None = None
) -> Room:
    return Room(object_max, BufferPool(Budget(memory)), Budget(disk), folder)


def filled(into: Room, data: bytes, step: int = MIB) -> DataSet:
    data_set = DataSet(into, *NAMED, EXPLICIT)
    rest = memoryview(data)
    while len(rest):
        with data_set.room(min(step, len(rest))) as place:
            count = len(place)
            place[:] = rest[:count]
        data_set.filled(count)
        rest = rest[count:]
    return data_set


def fate_of(into: Room, size: int) -> Fate:
    data_set = filled(into, bytes_of(size))
    data_set.done(reusable=True)
    return data_set.fate


def bytes_of(size: int) -> bytes:
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


@given(
    size=st.integers(0, 300_000) | st.sampled_from([MIB - 512, MIB - 511, MIB, 3 * MIB + 1]),
    step=st.sampled_from([4000, 131_066, MIB]),
    in_memory=st.booleans(),
    as_guessed=st.booleans(),
)
def test_the_file_is_the_same_in_memory_and_on_disk_and_however_it_came(
    size: int, step: int, in_memory: bool, as_guessed: bool
) -> None:
    data = bytes_of(size)
    data_set = filled(room(memory=64 * MIB if in_memory else 0), data, step)
    named = NAMED if as_guessed else ("1.2.840.10008.5.1.4.1.1.7", "")
    assert bytes(data_set.view) == data
    file = data_set.stored_file(*named)
    assert bytes(file.data) == stored_file(*named, EXPLICIT, data)
    assert file.sha256 == hashlib.sha256(file.data).hexdigest()
    file.data.release()
    data_set.done(reusable=True)


def test_a_name_that_is_none_is_left_out_of_the_file() -> None:
    data_set = DataSet(room(), "Doe^Jane", "é", "")
    assert bytes(data_set.stored_file("", "").data) == stored_file("", "", "", b"")


@pytest.mark.parametrize("memory", [0, 64 * MIB])
def test_more_than_the_ceiling_is_let_go(memory: int) -> None:
    places = room(memory=memory, object_max=2 * MIB)
    data_set = filled(places, bytes_of(5 * MIB))
    assert (data_set.fate, len(data_set), bytes(data_set.view)) == (Fate.OVERSIZE, 0, b"")
    data_set.done(reusable=True)
    assert fate_of(places, 2 * MIB) is Fate.HERE


def test_where_neither_memory_nor_disk_has_room_nothing_is_kept_and_the_next_one_is_taken() -> None:
    places = room(memory=3 * MIB, disk=4 * MIB)
    first = filled(places, bytes_of(3 * MIB - 512))
    second = filled(places, bytes_of(4 * MIB - 512))
    assert (first.fate, second.fate) == (Fate.HERE, Fate.HERE)
    third = filled(places, bytes_of(4 * MIB))
    assert third.fate is Fate.NO_ROOM
    for data_set in (first, second, third):
        data_set.done(reusable=True)
    assert fate_of(places, 3 * MIB) is Fate.HERE


def test_a_folder_that_cannot_be_is_a_lack_of_room(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert fate_of(room(memory=0, folder=tmp_path / "file" / "none"), 2 * MIB) is Fate.NO_ROOM


def test_what_is_abandoned_gives_its_room_back(tmp_path: Path) -> None:
    places = room(memory=4 * MIB, disk=8 * MIB, folder=tmp_path)
    for _ in range(50):
        filled(places, bytes_of(4 * MIB)).abandon()
        filled(places, bytes_of(7 * MIB)).abandon()
    assert places.memory.take().view.nbytes >= BUFFER_BYTES_MIN
    assert places.disk.take(8 * MIB)
    assert list(tmp_path.iterdir()) == []


def test_memory_that_somebody_still_reads_is_not_used_again() -> None:
    places = room()
    data_set = filled(places, b"first" * 1000)
    held = data_set.stored_file(*NAMED).data
    data_set.done(reusable=False)
    before = bytes(held)
    filled(places, b"other" * 1000)
    assert bytes(held) == before


def test_buffers_that_wait_make_room_for_those_that_work() -> None:
    places = room(memory=18 * MIB, disk=0)
    several = [filled(places, bytes_of(4 * MIB)) for _ in range(4)]
    for data_set in several:
        data_set.done(reusable=True)
    assert fate_of(places, 15 * MIB) is Fate.HERE
