"""A large object of RADSTREAM_LARGE_BYTES goes its whole way, by store or by spool, through little memory."""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import struct
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from consumers.tiering.copies import Copies
from producers.dicom_router.spool.config import Settings
from streams.identity import original_key
from streams.s3 import S3Store
from streams.step import NewObject
from streams.store_scu import StoreScu
from streams.stored_file import PREAMBLE, file_meta
from tests.gateway import Gateway, run_gateway
from tests.routers import CT, EXPLICIT, Ct, Router, running_router
from tests.waiting import wait_until

pytestmark = [pytest.mark.fault, pytest.mark.timeout(1200)]

# `make faults` sends as much as an element can have.
BYTES = int(os.environ.get("RADSTREAM_LARGE_BYTES", 300 << 20))
# What the issue allows a router beyond its resting size.
MEMORY_BYTES_MAX = 128 << 20
ARRIVES_S = 900.0
_ANSWER_S = 600.0
_STEP_BYTES = 1 << 24


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with run_gateway(tmp_path_factory.mktemp("gateway")) as running:
        running.make_buckets()
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def slide(tmp_path: Path) -> Iterator[memoryview]:
    """A data set of BYTES, nearly all of it one element that was never written: zeros that take no disk."""
    path = tmp_path / "slide"
    head = Ct(study="1.2.9", series="1.2.9.1", instance="1.2.9.1.1", pixels=b"").data_set()
    length = (BYTES - len(head)) & ~1
    with path.open("w+b") as file:
        file.write(head[:-4] + struct.pack("<I", length))
        file.truncate(len(head) + length)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with mapped, memoryview(mapped) as view:
        yield view
    path.unlink()


class Memory:
    """Of this process, which is the router and its sender: what is its own, and not pages of files."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._stopping = threading.Event()

    def watch(self) -> None:
        while not self._stopping.wait(0.01):
            self.peak_bytes = max(self.peak_bytes, resident_bytes())

    def stop(self) -> None:
        self._stopping.set()


def resident_bytes() -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"RssAnon:\s*(\d+) kB", text)[0]) * 1024


@contextmanager
def in_little_memory(what: str) -> Iterator[None]:
    memory, before, began = Memory(), resident_bytes(), time.monotonic()
    thread = threading.Thread(target=memory.watch)
    thread.start()
    try:
        yield
    finally:
        memory.stop()
        thread.join()
    grown, seconds = memory.peak_bytes - before, time.monotonic() - began
    print(f"{what}: {BYTES / (1 << 20):.0f} MiB in {seconds:.1f} s, {grown / (1 << 20):.1f} MiB of memory")  # noqa: T201
    assert grown < MEMORY_BYTES_MAX


def sent(router: Router, data_set: memoryview) -> int:
    scu = StoreScu(router.target, "SCANNER", [(CT, EXPLICIT)], answer_s_max=_ANSWER_S)
    try:
        return scu.store(CT, "1.2.9.1.1", EXPLICIT, data_set)
    finally:
        scu.close()


def digest_of(data_set: memoryview) -> str:
    found = hashlib.sha256(PREAMBLE + file_meta(CT, "1.2.9.1.1", EXPLICIT))
    for start in range(0, len(data_set), _STEP_BYTES):
        found.update(data_set[start : start + _STEP_BYTES])
    return found.hexdigest()


def arrived_whole(router: Router, store: S3Store, data_set: memoryview) -> None:
    """The event is there, and the bytes that it speaks of are in the store."""

    def large() -> list[str]:
        return [event.instance.digest for event in router.received() if event.instance.study_uid == "1.2.9"]

    wait_until(large, "the event of the large object", ARRIVES_S)
    (event,) = [event for event in router.received() if event.instance.study_uid == "1.2.9"]
    assert event.instance.digest == digest_of(data_set)
    kept = hashlib.sha256()
    for piece in store.stream(event.object):
        kept.update(piece)
    assert kept.hexdigest() == event.instance.digest
    store.delete(event.object)


def test_by_the_store(gateway: Gateway, slide: memoryview, folder: Path) -> None:
    store = S3Store(gateway.config)
    with running_router(store, objects_folder=folder.parent) as router:
        with in_little_memory("by the store"):
            assert sent(router, slide) == 0
        arrived_whole(router, store, slide)


def test_by_the_spool_and_from_there_to_the_store_while_small_images_are_acknowledged(
    gateway: Gateway, slide: memoryview, folder: Path
) -> None:
    store = S3Store(gateway.config)
    spool = Settings(folder=folder, acknowledge="spool", free_bytes_min=0)
    with running_router(store, objects_folder=folder.parent, spool=spool) as router:
        with in_little_memory("by the spool"), ThreadPoolExecutor(1) as threads:
            large = threads.submit(sent, router, slide)
            acknowledged, slowest_ms = 0, 0.0
            while not large.done():
                small = router.send(Ct(instance=f"1.2.3.4.{acknowledged + 1}").item())
                acknowledged, slowest_ms = acknowledged + small.acknowledged, max(slowest_ms, small.p99_ms or 0.0)
            assert large.result() == 0
            wait_until(lambda: len(router.received()) > acknowledged, "all of it to be committed", ARRIVES_S)
        print(f"{acknowledged} small images meanwhile, the slowest in {slowest_ms / 1000:.2f} s")  # noqa: T201
        assert acknowledged
        arrived_whole(router, store, slide)


def test_from_store_to_store(gateway: Gateway, slide: memoryview) -> None:
    """As tiering copies it: read, checked, put, and read back."""
    store, digest = S3Store(gateway.config), hashlib.sha256(slide).hexdigest()
    key = original_key("t", "1.2.9", "1.2.9.1", "1.2.9.1.1", digest)
    with ThreadPoolExecutor(4) as pool:
        store.create(NewObject("t", "hot", key, slide, digest))
        copies = Copies(store, pool, "t", "1.2.9", threading.Event())
        with in_little_memory("from store to store"):
            (item,) = copies.verified(copies.copied(copies.found({digest}, (), "hot"), "hot", "warm"), "warm")
    assert [(copy.store, copy.verified) for copy in item.copies] == [("hot", True), ("warm", True)]
    for copy in item.copies:
        store.delete(copies._ref(item, copy))
