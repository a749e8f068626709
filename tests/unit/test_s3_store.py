"""What can be said of the object store over S3 without a server."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from streams import config
from streams.config import ConfigError, Store
from streams.events import ObjectRef
from streams.objects import Damaged
from streams.s3 import S3Store

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
