"""What every object store must do: one suite, run on the fake and on the real one.

A module that runs it defines three fixtures: `store`, `overwrite`, which puts bytes under a key behind the store's
back, as a failing disk does, and `lock`, which puts an object lock on a version.
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from streams import reading_large
from streams.events import ObjectRef
from streams.mapped import Mapped
from streams.objects import Absent, Damaged, ObjectStore, StoreRefused
from streams.reading_large import fetch, verify
from streams.step import NewObject

Overwrite = Callable[[ObjectRef, bytes], None]
Lock = Callable[[ObjectRef], None]
HOT = "hot"


def new(key: str, data: bytes) -> NewObject:
    return NewObject("general", HOT, f"general/{key}", data)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class StoreSuite:
    def test_what_is_created_is_read_back(self, store: ObjectStore) -> None:
        stored = store.create(new("round/trip.dcm", b"\0\xffbytes"))
        assert stored.created
        assert stored.data == b"\0\xffbytes"
        assert stored.ref.sha256 == sha256(b"\0\xffbytes")
        assert (stored.ref.offset, stored.ref.length, stored.ref.size) == (0, 7, 7)
        assert (stored.ref.tenant, stored.ref.store, stored.ref.key) == ("general", HOT, "general/round/trip.dcm")
        assert store.read(stored.ref) == b"\0\xffbytes"
        assert store.exists(stored.ref)

    def test_what_is_there_is_streamed_whatever_it_is(self, store: ObjectStore, overwrite: Overwrite) -> None:
        data = bytes(range(256)) * 10_000
        ref = store.create(new("streamed/whole", data)).ref
        assert b"".join(store.stream(ref)) == data
        assert len(list(store.stream(ref))) > 1, "in pieces"
        overwrite(ref, b"shorter")
        assert b"".join(store.stream(msgspec.structs.replace(ref, version_id=None))) == b"shorter"
        empty = store.create(new("streamed/empty", b"")).ref
        assert b"".join(store.stream(empty)) == b""
        with pytest.raises(Absent):
            list(store.stream(msgspec.structs.replace(ref, key="general/streamed/absent", version_id=None)))

    def test_the_second_creator_gets_what_the_first_stored(self, store: ObjectStore) -> None:
        first = store.create(new("second", b"first"))
        second = store.create(new("second", b"second, and longer"))
        assert not second.created
        assert second.data == b"first"
        assert second.ref == first.ref
        assert store.read(second.ref) == b"first"

    def test_of_many_creators_at_once_one_wins_and_all_hold_its_bytes(self, store: ObjectStore) -> None:
        creators = 16
        start = threading.Barrier(creators)

        def create(number: int) -> tuple[bool, bytes | memoryview, ObjectRef]:
            start.wait()
            stored = store.create(new("race", bytes([number]) * (1000 + number)))
            return stored.created, stored.data, stored.ref

        with ThreadPoolExecutor(creators) as pool:
            results = list(pool.map(create, range(creators)))
        assert sum(created for created, _, _ in results) == 1
        winner = next(data for created, data, _ in results if created)
        assert {data for _, data, _ in results} == {winner}
        assert len({ref for _, _, ref in results}) == 1
        assert store.read(results[0][2]) == winner

    def test_a_part_is_read_by_offset_and_length_and_checked_by_its_own_digest(self, store: ObjectStore) -> None:
        whole = store.create(new("parts", b"codestreamTHUMBNAIL")).ref
        part = msgspec.structs.replace(whole, offset=10, length=9, sha256=sha256(b"THUMBNAIL"))
        assert store.read(part) == b"THUMBNAIL"
        first = msgspec.structs.replace(whole, offset=0, length=1, sha256=sha256(b"c"))
        assert store.read(first) == b"c"
        nothing = msgspec.structs.replace(whole, offset=5, length=0, sha256=sha256(b""))
        assert store.read(nothing) == b""

    def test_bytes_that_are_not_those_of_the_reference_are_damaged(self, store: ObjectStore) -> None:
        whole = store.create(new("another", b"0123456789")).ref
        with pytest.raises(Damaged):
            store.read(msgspec.structs.replace(whole, sha256=sha256(b"else")))
        with pytest.raises(Damaged):
            store.read(msgspec.structs.replace(whole, offset=2, length=3, sha256=sha256(b"012")))
        with pytest.raises(Damaged):
            store.read(msgspec.structs.replace(whole, length=11, size=11))
        with pytest.raises(Damaged):
            store.read(msgspec.structs.replace(whole, offset=10, length=5, size=20))

    def test_a_flipped_bit_and_a_cut_are_seen(self, store: ObjectStore, overwrite: Overwrite) -> None:
        whole = store.create(new("rotten", b"0123456789" * 100)).ref
        part = msgspec.structs.replace(whole, offset=10, length=5, sha256=sha256(b"01234"))
        overwrite(whole, b"0123456789" * 99 + b"0123456788")
        with pytest.raises(Damaged):
            store.read(whole)
        overwrite(whole, b"0123456789")
        with pytest.raises(Damaged):
            store.read(whole)
        with pytest.raises(Damaged):
            store.read(part)
        assert store.exists(whole)
        overwrite(whole, b"")
        with pytest.raises(Damaged):
            store.read(msgspec.structs.replace(whole, length=0, size=0))

    def test_what_is_not_there_is_absent(self, store: ObjectStore) -> None:
        there = store.create(new("there", b"x")).ref
        elsewhere = msgspec.structs.replace(there, key="general/not-there", version_id=None)
        for ref in (elsewhere, msgspec.structs.replace(elsewhere, length=0, size=0, sha256=sha256(b""))):
            assert not store.exists(ref)
            with pytest.raises(Absent):
                store.read(ref)

    def test_what_a_key_holds_is_found_without_a_reference(self, store: ObjectStore) -> None:
        stored = store.create(new("found", b"by its key"))
        found = store.find("general", HOT, "general/found")
        assert found is not None
        assert (found.ref, found.data, found.created) == (stored.ref, b"by its key", False)
        assert store.find("general", HOT, "general/never") is None

    def test_a_version_is_named_and_another_version_is_absent(self, store: ObjectStore) -> None:
        ref = store.create(new("versions", b"x")).ref
        assert ref.version_id
        other = msgspec.structs.replace(ref, version_id="01AAAAAAAAAAAAAAAAAAAAAAAA")
        assert not store.exists(other)
        with pytest.raises(Absent):
            store.read(other)

    def test_an_empty_object(self, store: ObjectStore) -> None:
        stored = store.create(new("empty", b""))
        assert stored.created
        assert store.read(stored.ref) == b""
        assert store.exists(stored.ref)
        again = store.create(new("empty", b"not empty"))
        assert (again.created, again.data) == (False, b"")

    def test_a_big_object(self, store: ObjectStore) -> None:
        data = hashlib.shake_256(b"big").digest(1 << 20) * 64
        ref = store.create(new("big", data)).ref
        assert ref.size == 64 << 20
        assert store.read(ref) == data
        middle = msgspec.structs.replace(
            ref, offset=(32 << 20) - 1, length=3, sha256=sha256(data[(32 << 20) - 1 :][:3])
        )
        assert len(store.read(middle)) == 3

    def test_what_is_large_is_mapped_and_is_the_same_bytes(
        self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading_large, "LARGE_BYTES", 100_000)
        monkeypatch.setattr(reading_large, "_PIECE_BYTES", 30_000)
        data = bytes(range(256)) * 1000
        whole = store.create(new("large/whole", data)).ref
        part = msgspec.structs.replace(whole, offset=1000, length=200_001, sha256=sha256(data[1000:201_001]))
        small = msgspec.structs.replace(whole, offset=7, length=100_000, sha256=sha256(data[7:100_007]))
        for ref, wanted in ((whole, data), (part, data[1000:201_001])):
            mapped = fetch(store, ref)
            assert isinstance(mapped, Mapped)
            assert memoryview(mapped) == wanted
            assert memoryview(mapped).readonly
            verify(store, ref)
        assert fetch(store, small) == data[7:100_007]

    def test_what_is_large_and_damaged_cut_or_gone_is_told_as_what_is_small(
        self, store: ObjectStore, overwrite: Overwrite, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reading_large, "LARGE_BYTES", 100_000)
        monkeypatch.setattr(reading_large, "_PIECE_BYTES", 30_000)
        data = bytes(range(256)) * 1000
        ref = store.create(new("large/rotten", data)).ref
        for rotten in (data[:-1] + b"\0", data[:-1]):
            overwrite(ref, rotten)
            for read in (fetch, verify):
                with pytest.raises(Damaged):
                    read(store, ref)
        long = msgspec.structs.replace(ref, offset=200_000, length=100_000 + 1)
        overwrite(ref, data)
        gone = msgspec.structs.replace(ref, key=f"{ref.key}-not", version_id=None)
        for read in (fetch, verify):
            with pytest.raises(Damaged):
                read(store, long)
            with pytest.raises(Absent):
                read(store, gone)

    @pytest.mark.parametrize(
        "name", ["with space", "ünïcode/日本", "per%20cent", "plus+and&=?#", "a.b/..c/d-", "tilde~'()*!"]
    )
    def test_keys_are_taken_as_they_are(self, store: ObjectStore, name: str) -> None:
        ref = store.create(new(f"keys/{name}", name.encode())).ref
        assert store.read(ref) == name.encode()
        assert f"general/keys/{name}" in [key for key, _ in store.keys(HOT, "general/keys/")]

    def test_a_key_that_is_too_long_is_refused_and_the_store_is_as_good_as_ever(self, store: ObjectStore) -> None:
        with pytest.raises(StoreRefused):
            store.create(new("long" * 300, b"x"))
        assert store.create(new("short", b"x")).created

    def test_keys_are_listed_in_order_under_a_prefix(self, store: ObjectStore) -> None:
        names = ["1.2", "1.2.3/b", "1.2.3/a", "1.2.30/a", "1.2-9", "1.10/z", "1.9"]
        for name in names:
            store.create(new(f"list/{name}/x.dcm", name.encode()))
        expected = sorted((f"general/list/{name}/x.dcm", len(name)) for name in names)
        assert list(store.keys(HOT, "general/list/")) == expected
        within = [key for key, _ in store.keys(HOT, "general/list/1.2.3")]
        assert within == [key for key, _ in expected if key.startswith("general/list/1.2.3")]
        assert len(within) == 3
        assert list(store.keys(HOT, "general/nothing/")) == []

    def test_the_beginning_of_an_object_is_read_alone(self, store: ObjectStore) -> None:
        ref = store.create(new("begins", b"0123456789")).ref
        assert store.head(ref, 4) == b"0123"
        assert store.head(ref, 100) == b"0123456789"
        with pytest.raises(Absent):
            store.head(msgspec.structs.replace(ref, key=f"{ref.key}-not", version_id=None), 4)

    def test_a_range_is_read_for_an_event_loop(self, store: ObjectStore) -> None:
        ref = store.create(new("ranges", b"0123456789")).ref
        part = msgspec.structs.replace(ref, offset=5, length=2, sha256=sha256(b"56"))
        for one in (ref, part):
            assert store.read_range(one, 2, 3) == b"234"
            assert store.read_range(one, 8, 100) == b"89"
            assert store.read_range(one, 10, 1) == b""
            assert store.read_range(one, 3, 0) == b""
        empty = store.create(new("ranges-empty", b"")).ref
        assert store.read_range(empty, 0, 5) == b""
        with pytest.raises(Absent):
            store.read_range(msgspec.structs.replace(ref, key=f"{ref.key}-not", version_id=None), 0, 1)
        with pytest.raises(Damaged):
            store.read_range(msgspec.structs.replace(ref, size=11), 0, 1)

    def test_a_part_comes_in_pieces_for_an_event_loop(self, store: ObjectStore, overwrite: Overwrite) -> None:
        data = bytes(range(256)) * 10_000
        ref = store.create(new("pieces/whole", data)).ref
        pieces = asyncio.run(_gathered(store, ref))
        assert (b"".join(pieces), len(pieces) > 1) == (data, True)
        part = msgspec.structs.replace(ref, offset=1000, length=3000)
        assert b"".join(asyncio.run(_gathered(store, part))) == data[1000:4000]
        assert asyncio.run(_gathered(store, msgspec.structs.replace(ref, offset=1000, length=0))) == []
        with pytest.raises(Absent):
            asyncio.run(_gathered(store, msgspec.structs.replace(ref, key=f"{ref.key}-not", version_id=None)))
        overwrite(ref, b"shorter")
        with pytest.raises(Damaged):
            asyncio.run(_gathered(store, msgspec.structs.replace(ref, version_id=None)))

    def test_more_keys_than_one_page_holds(self, store: ObjectStore) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: store.create(new(f"many/{number:05}", b".")), range(1100)))
        assert [key for key, _ in store.keys(HOT, "general/many/")] == [f"general/many/{n:05}" for n in range(1100)]

    def test_versions_are_listed_in_order_and_with_their_names(self, store: ObjectStore) -> None:
        refs = [store.create(new(f"versions-of/{name}", name.encode())).ref for name in ("b", "a/x", "c")]
        expected = sorted((ref.key, ref.size, ref.version_id) for ref in refs)
        listed = list(store.listed(HOT, "general/versions-of/"))
        assert [(one.key, one.size, one.version_id) for one in listed] == expected
        assert all(abs(datetime.now(UTC) - one.modified) < timedelta(minutes=1) for one in listed)
        assert list(store.listed(HOT, "general/versions-of/none")) == []

    def test_a_deleted_version_is_absent_and_its_key_is_free(self, store: ObjectStore) -> None:
        ref = store.create(new("deleted/x", b"x")).ref
        beside = store.create(new("deleted/y", b"y")).ref
        assert store.delete(ref)
        assert not store.exists(ref)
        with pytest.raises(Absent):
            store.read(msgspec.structs.replace(ref, version_id=None))
        assert [key for key, _ in store.keys(HOT, "general/deleted/")] == [beside.key]
        assert [one.key for one in store.listed(HOT, "general/deleted/")] == [beside.key]
        assert store.delete(ref), "a second time"
        again = store.create(new("deleted/x", b"again"))
        assert again.created
        assert store.delete(ref), "the old version"
        assert store.read(again.ref) == b"again"

    def test_only_an_exact_version_is_deleted(self, store: ObjectStore) -> None:
        ref = store.create(new("exact", b"x")).ref
        with pytest.raises(ValueError, match="exact version"):
            store.delete(msgspec.structs.replace(ref, version_id=None))
        assert store.read(ref) == b"x"

    def test_a_version_under_an_object_lock_stays(self, store: ObjectStore, lock: Lock) -> None:
        ref = store.create(new("locked", b"x")).ref
        lock(ref)
        assert not store.delete(ref)
        assert store.read(ref) == b"x"


async def _gathered(store: ObjectStore, ref: ObjectRef) -> list[bytes]:
    return [piece async for piece in store.pieces(ref)]
