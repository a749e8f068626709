"""What can be said of the object store over S3 without a server."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest
from obstore.exceptions import AlreadyExistsError

from streams import config
from streams.config import ConfigError, Store
from streams.events import ObjectRef
from streams.objects import Damaged
from streams.s3 import S3Store
from streams.step import NewObject, Stored

KEY = "hospital/studies/2.25.1/2.25.2/2.25.3/x.dcm"


def reference(data: bytes) -> ObjectRef:
    """As of an object that is listed with no bytes, and whose name says what it is to hold."""
    sha256 = hashlib.sha256(data).hexdigest()
    return ObjectRef(tenant="hospital", store="hot", key=KEY, length=0, size=0, sha256=sha256)


def test_an_object_that_is_empty_and_should_not_be_is_damaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that loses power can leave an empty file under the name of an original."""
    store = S3Store(Store(endpoint="http://127.0.0.1:1", access_key="a", secret_key="b", buckets={"hot": "hot"}))
    monkeypatch.setattr(store, "_peek", lambda _: None)
    assert store.read(reference(b"")) == b""
    with pytest.raises(Damaged):
        store.read(reference(b"an image"))


def test_two_stores_in_one_bucket_are_refused(tmp_path: Path) -> None:
    """The copy in the one would be the copy in the other, and the deletion of one would take both."""
    file = tmp_path / "radstream.toml"
    file.write_text('[store]\nendpoint = "http://127.0.0.1:1"\n[store.buckets]\nhot = "images"\nbackup = "images"\n')
    with pytest.raises(ConfigError, match=r"radstream\.toml:1: \[store\] two stores have one bucket"):
        config.load(file).section("store", Store)


@pytest.mark.parametrize(
    ("archived", "said"), [("hot", "hot and warm answer at once"), ("tape", "which buckets does not")]
)
def test_what_cannot_be_an_archive_is_refused(tmp_path: Path, archived: str, said: str) -> None:
    file = tmp_path / "radstream.toml"
    buckets = '[store.buckets]\nhot = "hot"\ncold = "cold"\n'
    file.write_text(f'[store]\nendpoint = "http://127.0.0.1:1"\narchived = ["{archived}"]\n{buckets}')
    with pytest.raises(ConfigError, match=said):
        config.load(file).section("store", Store)


IMAGE = bytes(range(256)) * 1000
DIGEST = hashlib.sha256(IMAGE).hexdigest()


class There:
    """What obstore gives of an object that is there."""

    def __init__(self, data: bytes) -> None:
        self.meta = {"size": len(data), "version": "v1"}
        self.whole = False
        self._data = data

    def stream(self, min_chunk_size: int) -> Iterator[builtins.bytes]:
        yield from (self._data[start : start + 1000] for start in range(0, len(self._data), 1000))

    def bytes(self) -> There:
        self.whole = True
        return self

    def to_bytes(self) -> builtins.bytes:
        return self._data


def created(monkeypatch: pytest.MonkeyPatch, there: There, promised: str | None) -> Stored:
    def exists(*_: object, **__: object) -> None:
        raise AlreadyExistsError("it is there")

    monkeypatch.setattr(obstore, "put", exists)
    monkeypatch.setattr(obstore, "get", lambda *_, **__: there)
    store = S3Store(Store(endpoint="http://127.0.0.1:1", access_key="a", secret_key="b", buckets={"hot": "hot"}))
    return store.create(NewObject("hospital", "hot", KEY, IMAGE, promised))


def test_what_comes_again_is_compared_as_it_is_read_and_not_in_memory_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects of gigabytes come again, too: a sender that was not answered sends them all anew."""
    there = There(IMAGE)
    stored = created(monkeypatch, there, DIGEST)
    assert not there.whole
    assert not stored.created
    assert stored.data is IMAGE
    assert (stored.ref.sha256, stored.ref.size, stored.ref.version_id) == (DIGEST, len(IMAGE), "v1")


@pytest.mark.parametrize("other", [b"x" + IMAGE[1:], IMAGE[:-1], b""])
def test_other_bytes_under_the_key_are_told_by_their_digest(monkeypatch: pytest.MonkeyPatch, other: bytes) -> None:
    stored = created(monkeypatch, There(other), DIGEST)
    assert stored.ref.sha256 == hashlib.sha256(other).hexdigest()


def test_who_promised_nothing_gets_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    there = There(b"the first result")
    assert created(monkeypatch, there, None).data == b"the first result"
    assert there.whole
