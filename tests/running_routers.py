"""Routers by processes of their own, with a spool, whose store and log are away: for tests of the processes alone."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from streams.protected_keys import create_key_file
from streams.store_scu import Target
from tests.ports import free_ports
from tests.raw_peer import RawPeer, echo_rq, p_data, pdv, status_of
from tests.secured import Hospital, hospital, known
from tests.waiting import wait_until

PATIENCE_S = 120.0
# For an association that waits while processes start on a busy machine.
PATIENT = "idle_timeout_s = 600"


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
key_file = "keys"
[handover]
folder = "meeting"
[router]
http_port = {self.ports["http"]}
port = {self.ports["port"]}
peers = "{self.site.peers}"
stop_timeout_s = 100
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
folder = "{spool}"
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
            # While one takes over from another, it waits in the queue.
            answer = urllib3.request("GET", self._url("readyz"), retries=False, timeout=PATIENCE_S)
        except urllib3.exceptions.HTTPError:
            return None
        return int(answer.json()["pid"]) if answer.status == 200 else None

    def metric(self, name: str) -> float:
        return next(
            float(line.split()[-1]) for line in self.asked("metrics").splitlines() if line.startswith(f"{name} ")
        )

    def asked(self, path: str) -> str:
        return urllib3.request("GET", self._url(path), retries=False, timeout=PATIENCE_S).data.decode()

    def readyz(self) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(self.asked("readyz"))
        return said

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.ports['http']}/{path}"


@contextmanager
def running_routers(folder: Path) -> Iterator[Routers]:
    """Whatever runs at the end of the block is killed."""
    made = Routers(folder, hospital(folder / "trust", known("PEER"), known("CT1", 'common_name = "ct1.example"')))
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
