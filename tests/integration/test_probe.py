"""What stores enforce: the local one, and one that answers 200 to everything and does nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from producers.dicom_router.store_check import check_store
from streams import s3_control
from streams.config import ConfigError, Site, Store, load
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from streams.objects import StoreAway
from streams.probe import PREFIX, missing, probe
from streams.s3 import S3Store
from streams.service import Context
from streams.wire import SchemaIds
from tests.gateway import Gateway, run_gateway
from tests.ports import free_port


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with run_gateway(tmp_path_factory.mktemp("gateway")) as running:
        running.make_buckets()
        yield running


class Careless(BaseHTTPRequestHandler):
    """Takes everything, keeps nothing, says 200."""

    protocol_version = "HTTP/1.1"

    def _yes(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        self.rfile.read(length)
        body = b"<Answer/>" if self.command == "GET" else b""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _yes

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is its own."""


class Filling(Careless):
    """Takes so many objects, and is full."""

    room = 0
    answer = 507, "InsufficientStorage"

    def do_PUT(self) -> None:
        if type(self).room > 0:
            type(self).room -= 1
            self._yes()
            return
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        status, code = self.answer
        body = f"<Error><Code>{code}</Code></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def careless() -> Iterator[Store]:
    with served(Careless) as store:
        yield store


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[Store]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield Store(endpoint=endpoint, access_key="a", secret_key="s", buckets={"hot": "hot"})
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_the_local_store_enforces(gateway: Gateway) -> None:
    found = {one.name: one.verdict for one in probe(gateway.config, "hot")}
    assert found == {
        "conditional_create": "enforced",
        "digest": "enforced",
        "versioning": "enforced",
        "object_lock": "enforced",
        "storage_class": "ignored",
        "encryption": "ignored",
        "lifecycle": "refused",
    }
    assert missing(probe(gateway.config, "hot")) == ()


def test_nothing_is_left_behind(gateway: Gateway) -> None:
    probe(gateway.config, "warm")
    assert list(S3Store(gateway.config).keys("warm", PREFIX)) == []
    versions = s3_control.client(gateway.config).list_object_versions(Bucket="warm")
    assert versions.get("Versions", []) == []
    assert versions.get("DeleteMarkers", []) == []


def test_a_store_that_says_yes_to_everything_is_found_out(careless: Store) -> None:
    found = probe(careless, "hot")
    assert {one.name for one in missing(found)} == {"conditional_create", "digest"}
    assert {one.verdict for one in found} <= {"ignored", "refused", "unknown"}


def test_a_bucket_without_object_lock_refuses_to_hold(gateway: Gateway) -> None:
    s3_control.client(gateway.config).create_bucket(Bucket="plain")
    found = {one.name: one for one in probe(gateway.config, "plain")}
    assert found["object_lock"].verdict == "refused"
    assert found["versioning"].verdict == "ignored"


@pytest.mark.parametrize(
    ("change", "says"),
    [({"access_key": "stranger"}, "access key"), ({"endpoint": "free"}, "does not answer")],
)
def test_a_store_that_cannot_be_used_is_away(gateway: Gateway, change: dict[str, str], says: str) -> None:
    if "endpoint" in change:
        change = {"endpoint": f"http://127.0.0.1:{free_port()}"}
    with pytest.raises(StoreAway, match=says):
        probe(msgspec.structs.replace(gateway.config, **change), "hot")


@pytest.mark.parametrize("room", [0, 1])
def test_a_full_store_is_away_and_neither_unfit_nor_fit(room: int) -> None:
    """Neither failure says what it enforces: a router waits, and its spool takes what comes."""
    with served(type("Full", (Filling,), {"room": room})) as store, pytest.raises(StoreAway, match="is full"):
        probe(store, "hot")


@pytest.mark.parametrize("room", [0, 1, 2])
def test_a_full_store_that_says_something_else_is_neither_unfit_nor_fit(room: int) -> None:
    """As versitygw does where it cannot make a folder: what it answers is no refusal of what was asked."""
    full = {"room": room, "answer": (409, "ExistingObjectIsDirectory")}
    with served(type("Full", (Filling,), full)) as store, pytest.raises(StoreAway, match="ExistingObjectIsDirectory"):
        probe(store, "hot")


def test_a_missing_bucket_is_named(gateway: Gateway) -> None:
    with pytest.raises(StoreAway, match="bucket is missing"):
        probe(gateway.config, "absent")


def test_the_router_does_not_start_on_a_store_that_keeps_nothing(careless: Store, tmp_path: Path) -> None:
    context = router_context(careless, tmp_path)
    with pytest.raises(ConfigError, match=r"cannot hold images.*conditional_create"):
        check_store(context, "hot")


def test_the_router_starts_on_the_local_store(gateway: Gateway, tmp_path: Path) -> None:
    check_store(router_context(gateway.config, tmp_path), "hot")


def router_context(store: Store, folder: Path) -> Context:
    file = folder / "radstream.toml"
    file.write_text(
        f"""[store]
endpoint = "{store.endpoint}"
access_key = "{store.access_key}"
secret_key = "{store.secret_key}"
[store.buckets]
hot = "{store.buckets["hot"]}"
"""
    )
    site = Site(tenant="t", site="s")
    return Context("router", load(file), site, MemoryLog(), MemoryStore(), SchemaIds())
