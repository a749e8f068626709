"""Routers by processes of their own, with a spool, whose store and log are away: all ports go over, also in a chain."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pytest
import urllib3

from producers.dicom_router.spool.census import census
from radstream.sending import send_items
from streams.protected_keys import create_key_file
from streams.store_scu import Target
from tests.raw_peer import RELEASE_RQ, RawPeer, echo_rq, p_data, pdv, status_of
from tests.routers import Ct
from tests.secured import Hospital, echoes, hospital, known, trusted
from tests.stow import MULTIPART, body_of, file_of
from tests.waiting import wait_until

PATIENCE_S = 60.0


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


@dataclass
class Routers:
    """Processes of one site. Each has a configuration file of its own; `settings` are lines of [router]."""

    folder: Path
    site: Hospital
    ports: dict[str, int] = field(default_factory=dict)
    running: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        names = ("http", "port", "tls", "stow", "log", "store")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        self.target = Target("RADSTREAM", "127.0.0.1", self.ports["port"])
        self.secured = Target("RADSTREAM", "127.0.0.1", self.ports["tls"])
        create_key_file(self.folder / "keys")

    def start(self, settings: str = "", spool: str = "spool") -> subprocess.Popen[str]:
        path = self.folder / f"{len(self.running)}.toml"
        tls = self.site.tls
        path.write_text(
            f"""
[site]
tenant = "hospital"
site = "north"
[kafka]
bootstrap = "127.0.0.1:{self.ports["log"]}"
[store]
endpoint = "http://127.0.0.1:{self.ports["store"]}"
access_key = "a"
secret_key = "s"
[store.buckets]
hot = "hot"
[protected]
key_file = "{self.folder / "keys"}"
[handover]
folder = "meeting"
[router]
http_port = {self.ports["http"]}
port = {self.ports["port"]}
peers = "{self.site.peers}"
stop_timeout_s = 30
commit_timeout_s = 1
{settings}
[router.tls]
port = {self.ports["tls"]}
certificate = "{tls.certificate}"
key = "{tls.key}"
ca = "{tls.ca}"
[router.stow]
port = {self.ports["stow"]}
[router.spool]
folder = "{self.folder / spool}"
patience_s = 0.2
free_bytes_min = 0
""",
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "producers.dicom_router", "--config", str(path)]
        with (self.folder / f"{len(self.running)}.log").open("w") as log:
            started = subprocess.Popen(command, stderr=log, text=True)
        self.running.append(started)
        return started

    def said(self, number: int) -> str:
        return (self.folder / f"{number}.log").read_text(encoding="utf-8")

    def serving(self) -> int | None:
        """The process that answers that it is ready."""
        try:
            answer = urllib3.request("GET", self._url("readyz"), retries=False, timeout=5)
        except urllib3.exceptions.HTTPError:
            return None
        return int(answer.json()["pid"]) if answer.status == 200 else None

    def metric(self, name: str) -> float:
        text = urllib3.request("GET", self._url("metrics"), retries=False, timeout=5).data.decode()
        return next(float(line.split()[-1]) for line in text.splitlines() if line.startswith(f"{name} "))

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.ports['http']}/{path}"


@pytest.fixture
def routers(tmp_path: Path) -> Iterator[Routers]:
    site = hospital(tmp_path / "trust", known("PEER"), known("CT1", 'common_name = "ct1.example"'))
    made = Routers(tmp_path, site)
    try:
        yield made
    finally:
        for one in made.running:
            one.kill()
            one.wait()


def serves(routers: Routers, process: subprocess.Popen[str]) -> None:
    wait_until(lambda: process.poll() is not None or routers.serving() == process.pid, "a router to serve", PATIENCE_S)
    assert process.poll() is None, routers.said(routers.running.index(process))


@contextmanager
def again_and_again(*ways: Callable[[], None]) -> Iterator[list[str]]:
    """Each in a thread, in a loop; what went wrong."""
    ending = threading.Event()
    failed: list[str] = []

    def loop(way: Callable[[], None]) -> None:
        while not ending.is_set():
            try:
                way()
            except (OSError, AssertionError, urllib3.exceptions.HTTPError) as error:
                failed.append(f"{way.__name__}: {error!r}")

    with ThreadPoolExecutor(len(ways)) as pool:
        for way in ways:
            pool.submit(loop, way)
        try:
            yield failed
        finally:
            ending.set()


def echoed(peer: RawPeer) -> None:
    peer.send(p_data(pdv(echo_rq(), command=True, context=3)))
    answer = peer.read()
    assert answer is not None
    assert status_of(answer) == 0


@pytest.mark.timeout(180)
def test_every_port_goes_over_and_what_waits_on_the_spool_too_from_the_first_to_the_third(routers: Routers) -> None:
    context, numbers, acknowledged = (
        trusted(routers.site, routers.site.scanner()),
        itertools.count(1),
        itertools.count(),
    )
    web = urllib3.PoolManager(retries=False, timeout=30)

    def image() -> Ct:
        return Ct(study="1.2", series="1.2.3", instance=f"1.2.3.{next(numbers)}")

    def c_store() -> None:
        result = send_items([image().item()], routers.target, retries=0, calling_ae="PEER")
        assert result.statuses == {"0000": 1}, result
        next(acknowledged)

    def over_tls() -> None:
        assert echoes(routers.secured, "CT1", context)

    def stow() -> None:
        """On one connection, as long as the router lets it."""
        url = f"http://127.0.0.1:{routers.ports['stow']}/studies"
        answer = web.request("POST", url, body=body_of([file_of(image())]), headers={"Content-Type": MULTIPART})
        assert answer.status == 200, answer.data
        next(acknowledged)

    def health() -> None:
        assert routers.serving() is not None

    first = routers.start()
    serves(routers, first)
    with RawPeer(routers.target) as long, again_and_again(c_store, over_tls, stow, health) as failed:
        long.associated()
        others = [routers.start(), routers.start()]
        wait_until(lambda: any(one.poll() is not None for one in others), "the third to take over", PATIENCE_S)
        (last,) = (one for one in others if one.poll() is None)
        assert routers.serving() == last.pid
        assert first.poll() is None
        echoed(long)
        long.send(RELEASE_RQ)
        assert long.read() is not None
        assert [one.wait(PATIENCE_S) for one in routers.running if one is not last] == [0, 0]
        assert routers.serving() == last.pid
        before = next(numbers)
        wait_until(lambda: next(numbers) > before + 20, "more to be sent", PATIENCE_S)
    assert failed == []
    count = next(acknowledged)
    assert len(census(routers.folder / "spool").waiting) == count > 20
    wait_until(
        lambda: routers.metric("radstream_spool_instances") == count, "all of it to wait in the last", PATIENCE_S
    )
    last.terminate()
    assert last.wait(PATIENCE_S) == 0


def test_a_newer_router_with_another_spool_does_not_take_over(routers: Routers) -> None:
    first = routers.start()
    serves(routers, first)
    elsewhere = routers.start(spool="elsewhere")
    assert elsewhere.wait(PATIENCE_S) == 1
    line = routers.said(1).splitlines()[-1]
    assert line == (
        f"radstream router: process {first.pid} (version {version('radstream')}) serves with [router.spool] folder "
        f"{routers.folder / 'spool'}, and this configuration has {routers.folder / 'elsewhere'}: that cannot be handed "
        "over; stop that process, then start this one"
    )
    assert routers.serving() == first.pid
    assert first.poll() is None
