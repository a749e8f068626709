"""A study's files come out whole, from whatever store has them, also while they move."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumers.catalog.originals import Original
from radstream.errors import Failure
from radstream.getting import FASTEST_FIRST, Getting, Got
from streams import reading_large
from streams.events import ObjectRef
from streams.identity import original_key
from streams.memory_store import MemoryStore
from streams.step import NewObject
from tests.large_objects import full

STUDY, SERIES = "1.2", "1.2.3"


class MovingStore(MemoryStore):
    """Moves everything from one store to another once it was listed."""

    move: tuple[str, str] | None = None

    def keys(self, store: str, prefix: str = "") -> Iterator[tuple[str, int]]:
        found = list(super().keys(store, prefix))
        if self.move is not None and store == FASTEST_FIRST[-1]:
            source, target = self.move
            self.move = None
            self._held = {(target if name == source else name, key): held for (name, key), held in self._held.items()}
        yield from found


@pytest.fixture
def store() -> MovingStore:
    return MovingStore()


def kept(store: MemoryStore, number: int, *stores: str, damaged: str = "") -> Original:
    data = f"image {number}".encode()
    digest = hashlib.sha256(data).hexdigest()
    uid = f"{SERIES}.{number}"
    for name in stores:
        bytes_there = b"other" * 2 if name == damaged else data
        store.create(NewObject("t", name, original_key("t", STUDY, SERIES, uid, digest), bytes_there))
    return Original(SERIES, uid, digest, len(data))


def got(store: MemoryStore, folder: Path, *originals: Original) -> Got:
    return Getting(store, FASTEST_FIRST, "t", STUDY).get(originals, folder)


def test_one_that_there_is_no_disk_for_is_missed_and_the_others_come(
    store: MovingStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = kept(store, 1, "hot"), kept(store, 10, "hot")
    monkeypatch.setattr(reading_large, "LARGE_BYTES", small.size)
    store.objects_folder = full(tmp_path)
    done = got(store, tmp_path / "to", large, small)
    assert done.files == 1
    (missed,) = done.missed
    assert missed.sop_instance_uid == large.sop_instance_uid
    assert "objects_folder" in missed.reason


def test_each_file_is_read_from_the_fastest_store_that_has_it(store: MovingStore, tmp_path: Path) -> None:
    originals = [
        kept(store, 1, "backup", "hot"),
        kept(store, 2, "backup", "cold", "warm"),
        kept(store, 3, "backup"),
    ]
    found = got(store, tmp_path, *originals)
    assert found.stores == {"backup": 1, "hot": 1, "warm": 1}
    assert (found.files, found.missed) == (3, [])
    assert (tmp_path / SERIES / f"{SERIES}.2.dcm").read_bytes() == b"image 2"
    assert sorted(path.suffix for path in (tmp_path / SERIES).iterdir()) == [".dcm"] * 3


def test_what_moves_while_it_is_read_is_found_where_it_went(store: MovingStore, tmp_path: Path) -> None:
    originals = [kept(store, number, "hot") for number in range(4)]
    store.move = ("hot", "warm")
    assert got(store, tmp_path, *originals).stores == {"warm": 4}


def test_a_damaged_copy_is_passed_over_for_a_whole_one(store: MovingStore, tmp_path: Path) -> None:
    found = got(store, tmp_path, kept(store, 1, "hot", "backup", damaged="hot"))
    assert (found.stores, found.missed) == ({"backup": 1}, [])


def test_what_is_in_no_store_or_damaged_everywhere_is_named_and_the_rest_is_written(
    store: MovingStore, tmp_path: Path
) -> None:
    absent, damaged, whole = kept(store, 1), kept(store, 2, "hot", damaged="hot"), kept(store, 3, "hot")
    found = got(store, tmp_path, absent, damaged, whole)
    assert found.files == 1
    assert {missed.sop_instance_uid: missed.reason.split(";")[0] for missed in found.missed} == {
        absent.sop_instance_uid: "in no store",
        damaged.sop_instance_uid: "damaged in every store that has it",
    }


def test_what_is_in_an_archive_says_how_it_comes_back(store: MovingStore, tmp_path: Path) -> None:
    one = kept(store, 1, "cold")
    store.asleep = {("cold", key) for key, _ in store.keys("cold")}
    found = got(store, tmp_path, one)
    assert "radstream tier restore 1.2 --wait" in str(found)
    assert not list(tmp_path.rglob("*.dcm"))


def test_a_second_time_reads_nothing_and_never_overwrites(store: MovingStore, tmp_path: Path) -> None:
    first, second = kept(store, 1, "hot"), kept(store, 2, "hot")
    got(store, tmp_path, first, second)
    mine = tmp_path / SERIES / f"{second.sop_instance_uid}.dcm"
    mine.write_bytes(b"my own work")
    again = got(store, tmp_path, first, second)
    assert (again.files, again.there, len(again.missed)) == (0, 1, 1)
    assert mine.read_bytes() == b"my own work"


def test_a_folder_that_cannot_be_written_says_so(store: MovingStore, tmp_path: Path) -> None:
    (tmp_path / SERIES).write_text("a file where a folder is to be")
    with pytest.raises(Failure, match="choose another folder"):
        got(store, tmp_path, kept(store, 1, "hot"))


def test_another_study_whose_uid_begins_alike_is_left_alone(store: MovingStore, tmp_path: Path) -> None:
    other = ObjectRef(tenant="t", store="hot", key="t/studies/1.20/1/1/x.dcm", length=1, size=1, sha256="x")
    store.create(NewObject("t", "hot", other.key, b"x"))
    assert got(store, tmp_path, kept(store, 1, "hot")).files == 1
