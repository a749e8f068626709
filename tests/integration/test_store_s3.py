"""The S3 store against a real gateway, and what it says when the gateway fails."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from botocore.exceptions import ClientError

from streams import s3_clients, s3_control
from streams.config import ConfigError, Store
from streams.events import ObjectRef
from streams.objects import ObjectStore, StoreAway
from streams.s3 import S3Store
from streams.step import NewObject
from tests.gateway import Gateway, run_gateway
from tests.ports import free_port
from tests.store_suite import HOT, Lock, Overwrite, StoreSuite, new
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with run_gateway(tmp_path_factory.mktemp("gateway")) as running:
        running.make_buckets()
        yield running


@pytest.fixture(scope="module")
def store(gateway: Gateway) -> ObjectStore:
    return S3Store(gateway.config)


@pytest.fixture
def overwrite(gateway: Gateway) -> Overwrite:
    def replace(ref: ObjectRef, data: bytes) -> None:
        gateway.file(ref.store, ref.key).write_bytes(data)

    return replace


@pytest.fixture
def lock(gateway: Gateway) -> Lock:
    def hold(ref: ObjectRef) -> None:
        s3_control.client(gateway.config).put_object_legal_hold(
            Bucket=gateway.config.buckets[ref.store],
            Key=ref.key,
            VersionId=ref.version_id or "",
            LegalHold={"Status": "ON"},
        )

    return hold


class TestS3Store(StoreSuite):
    def test_a_put_carries_a_digest_and_the_store_refuses_a_bad_one(self, gateway: Gateway, store: ObjectStore) -> None:
        ref = store.create(new("digest", b"content")).ref
        control = s3_control.client(gateway.config)
        head = control.head_object(Bucket="hot", Key=ref.key, ChecksumMode="ENABLED")
        assert base64.b64decode(head["ChecksumSHA256"]).hex() == ref.sha256
        wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
        with pytest.raises(ClientError, match="BadDigest"):
            control.put_object(Bucket="hot", Key="general/bad", Body=b"content", ChecksumSHA256=wrong)

    def test_keys_that_a_file_system_cannot_hold_together_are_refused_and_not_lost(self, store: ObjectStore) -> None:
        store.create(new("file", b"x"))
        with pytest.raises(StoreAway, match="file/below"):
            store.create(new("file/below", b"y"))

    def test_an_unknown_store_is_an_error_of_the_configuration(self, store: ObjectStore) -> None:
        with pytest.raises(ConfigError, match="glacier"):
            store.create(NewObject("general", "glacier", "general/x", b""))


def test_a_proxy_of_the_machine_is_not_asked_for_loopback(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    store = S3Store(gateway.config)
    ref = store.create(new("past-proxies", b"x")).ref
    assert store.read(ref) == b"x"
    assert [key for key, _ in store.keys(HOT, ref.key)] == [ref.key]


def ref_of(key: str, size: int = 1) -> ObjectRef:
    return ObjectRef(tenant="general", store=HOT, key=key, length=size, size=size, sha256="0" * 64)


@pytest.mark.timed
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"endpoint": "http://127.0.0.1:{free}"}, "does not answer"),
        ({"access_key": "stranger"}, "refuses the access key"),
        ({"secret_key": "wrong"}, "refuses the access key"),
        ({"buckets": {"hot": "no-such-bucket"}}, "bucket is missing"),
    ],
)
def test_a_store_that_cannot_be_used_is_away_and_nothing_is_absent(
    gateway: Gateway, change: dict[str, str], says: str
) -> None:
    """An absent object reads as erased elsewhere: no fault of ours may look like one."""
    if "endpoint" in change:
        change = {"endpoint": change["endpoint"].format(free=free_port())}
    store = S3Store(msgspec.structs.replace(gateway.config, **change))
    calls = (
        lambda: store.create(new("away", b"x")),
        lambda: store.read(ref_of("general/away")),
        lambda: store.exists(ref_of("general/away")),
        lambda: store.exists(ref_of("general/away", size=0)),
        lambda: list(store.keys(HOT)),
    )
    for call in calls:
        started = time.monotonic()
        with pytest.raises(StoreAway, match=says):
            call()
        assert time.monotonic() - started < 15


def test_a_store_that_hangs_is_away_and_comes_back(
    gateway: Gateway, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_clients, "READ_TIMEOUT", timedelta(seconds=1))
    # What is patient writes: a slow disk may take longer than that.
    ref = store.create(new("hang", b"before")).ref
    impatient = S3Store(gateway.config)
    gateway.freeze()
    try:
        with pytest.raises(StoreAway):
            impatient.read(ref)
        with pytest.raises(StoreAway):
            impatient.create(new("hang-2", b"during"))
    finally:
        gateway.thaw()

    def is_used_again() -> bool:
        with suppress(StoreAway):
            assert impatient.read(ref) == b"before"
            assert impatient.create(new("hang-2", b"during")).data == b"during"
            return True
        return False

    wait_until(is_used_again, "the store to be used again")


def test_a_store_that_is_killed_and_started_again_is_used_again(tmp_path: Path) -> None:
    port = free_port()
    with run_gateway(tmp_path, port) as first:
        first.make_buckets()
        store = S3Store(first.config)
        ref = store.create(new("x", b"x")).ref
    with pytest.raises(StoreAway):
        store.read(ref)
    with run_gateway(tmp_path, port):
        assert store.read(ref) == b"x"
        assert store.create(new("x", b"y")).ref == ref


@pytest.mark.parametrize("code", ["InsufficientStorage", "QuotaExceeded"])
def test_a_full_store_says_so(code: str) -> None:
    """versitygw answers 507 InsufficientStorage where its disk is full."""
    config = Store(endpoint="http://127.0.0.1:1", access_key="", secret_key="", buckets={})
    assert "is full" in str(s3_control.away(config, code))
