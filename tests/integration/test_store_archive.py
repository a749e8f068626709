"""Objects of an archive class, over a real gateway with S3's rules for them in front: asked for, awaited, read."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator

import msgspec
import pytest
from botocore.exceptions import ClientError

from streams import s3_control
from streams.config import Store
from streams.events import ObjectRef
from streams.objects import Absent, Archived, StoreAway
from streams.s3 import S3Store
from streams.step import NewObject
from tests.gateway import run_gateway
from tests.glacier import Glacier, glacier
from tests.tiering_world import HandClock, World, key_of, new_world

pytestmark = pytest.mark.stack

RESTORED = [f"hot {phase}" for phase in ("planned", "copied", "verified", "switched")]


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with run_gateway(tmp_path_factory.mktemp("gateway")) as running:
        buckets = {name: name for name in ("hot", "warm", "cold", "backup")}
        running = dataclasses.replace(running, config=msgspec.structs.replace(running.config, buckets=buckets))
        running.make_buckets()
        yield running.config


@pytest.fixture
def proxy(upstream: Store) -> Iterator[Glacier]:
    with glacier(upstream.endpoint, "cold") as proxy:
        yield proxy


@pytest.fixture
def store(upstream: Store, proxy: Glacier) -> S3Store:
    return S3Store(msgspec.structs.replace(upstream, endpoint=proxy.url, archived=("cold", "backup")))


def put(store: S3Store, name: str, key: str, data: bytes = b"content") -> ObjectRef:
    return store.create(NewObject("general", name, f"general/{key}", data)).ref


def test_what_is_archived_is_there_and_is_read_once_it_was_restored(store: S3Store, proxy: Glacier) -> None:
    ref = put(store, "cold", "restored")
    assert store.exists(ref)
    for read in (store.read, lambda one: list(store.stream(one)), lambda one: store.head(one, 4)):
        with pytest.raises(Archived):
            read(ref)
    with pytest.raises(Archived):
        asyncio.run(store.read_range(ref, 0, 4))
    assert [store.restore(ref), store.restore(ref)] == [False, False]
    assert proxy.asked == ["/cold/general/restored"], "once"
    proxy.is_awake = True
    assert store.restore(ref)
    assert store.read(ref) == b"content"


def test_what_answers_at_once_is_not_asked_for(store: S3Store, proxy: Glacier) -> None:
    ref = put(store, "hot", "at-once")
    assert store.restore(ref)
    assert proxy.asked == []
    for absent in (msgspec.structs.replace(ref, key="general/none", version_id=None), gone(store, ref)):
        with pytest.raises(Absent) as raised:
            store.restore(absent)
        assert not isinstance(raised.value, Archived)


def gone(store: S3Store, ref: ObjectRef) -> ObjectRef:
    store.delete(ref)
    return ref


def test_the_same_bytes_under_an_archived_key_are_found_to_be_there_by_the_digest_that_the_store_keeps(
    store: S3Store,
) -> None:
    ref = put(store, "cold", "again")
    again = store.create(NewObject("general", "cold", "general/again", b"content"))
    assert (again.created, again.ref) == (False, ref)
    with pytest.raises(StoreAway):
        store.create(NewObject("general", "cold", "general/again", b"other bytes"))


def test_a_store_that_restores_nothing_says_so(upstream: Store, store: S3Store) -> None:
    """versitygw over files has no archive classes: who declares one and has none reads at once."""
    ref = put(store, "cold", "plain")
    plain = S3Store(upstream)
    assert plain.restore(ref)
    assert plain.read(ref) == b"content"
    refusing = s3_control.client(upstream)
    with pytest.raises(ClientError, match="NotImplemented"):
        refusing.restore_object(Bucket="cold", Key=ref.key, RestoreRequest={"Days": 1})


def test_a_study_comes_out_of_the_archive_and_goes_back_into_it(store: S3Store, proxy: Glacier) -> None:
    world = new_world()
    world = World(world.log, store, HandClock())
    member = world.member()
    world.receive(1, 0, 1)
    world.run(member, 31)
    # A lifecycle rule takes a day to archive what was put: it is read back before.
    proxy.bucket = "none"
    world.run(member, 8 * 365)
    proxy.bucket = "cold"
    world.clock.day = 3000
    world.restore(1)
    world.settle(member)
    assert world.phases(1)[-1] == "hot planned"
    assert len(proxy.asked) == 2
    proxy.is_awake = True
    world.clock.day += 1
    world.settle(member)
    assert world.phases(1)[-4:] == RESTORED
    proxy.is_awake = False
    world.clock.day += 20
    world.settle(member)
    assert world.phases(1)[-1] == "cold released"
    assert store.find("hospital", "hot", key_of(1, 0)) is None
    world.restore(1)
    proxy.asked.clear()
    world.settle(member)
    proxy.is_awake = True
    world.clock.day += 1
    world.settle(member)
    assert world.phases(1)[-4:] == RESTORED
