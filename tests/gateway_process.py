"""A gateway in a process of its own over a running stack: with other settings, and a log and a memory to look at."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.ports import free_ports
from tests.running_stack import RunningStack
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[1]
OTHER = "127.0.0.2"
MATRIX = 512
IDLE_S = 2
OCTETS = "multipart/related; type=application/octet-stream; transfer-syntax=*"


@dataclass(frozen=True)
class GatewayProcess:
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def dicomweb(self) -> str:
        return f"{self.root}/dicomweb"

    def rss(self) -> int:
        """VmRSS (proc(5)), in bytes."""
        return self._status("VmRSS")

    def peak(self) -> int:
        """The most since `forget_peak`, in bytes."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def faults(self) -> list[dict[str, Any]]:
        """What was logged of requests that failed: exceptions, and errors that somebody would have to look at."""
        found = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            said = json.loads(line) if line.startswith("{") else {"event": line, "level": "error"}
            if "exception" in said or said.get("level") in ("error", "critical"):
                found.append(said)
        return found

    def _status(self, name: str) -> int:
        found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{self.process.pid}/status").read_text())
        assert found is not None
        return int(found[1]) << 10


@dataclass(frozen=True)
class Target:
    """A gateway, and what there is to be had of it: a study, and the path of an image of MATRIX x MATRIX x 16 bits."""

    gateway: GatewayProcess
    study: str
    instance: str

    @property
    def frame(self) -> str:
        return f"{self.gateway.dicomweb}{self.instance}/frames/1"


@contextmanager
def gateway_process(stack: RunningStack, folder: Path, **settings: str | int | float) -> Iterator[GatewayProcess]:
    """`settings` are of [gateway]. It has to end by itself when it is told to."""
    port, http_port = free_ports(2)
    config = folder / "radstream.toml"
    config.write_text(_changed(stack, {"port": port, "http_port": http_port, **settings}), encoding="utf-8")
    config.chmod(0o600)
    log = folder / "gateway.log"
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "--config", str(config)], cwd=ROOT, stdout=written, stderr=written
        )
    try:
        running = GatewayProcess(port, process, log)
        wait_until(lambda: _answers(running), "the gateway")
        yield running
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def _changed(stack: RunningStack, settings: dict[str, str | int | float]) -> str:
    head, section, rest = stack.config_path.read_text(encoding="utf-8").partition("\n[gateway]\n")
    assert section
    lines, behind, others = rest.partition("\n[")
    kept = [line for line in lines.splitlines() if line.partition("=")[0].strip() not in settings]
    kept += [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    return head + section + "\n".join(kept) + "\n" + behind + others


def _answers(running: GatewayProcess) -> bool:
    assert running.process.poll() is None, running.log.read_text(encoding="utf-8")
    with suppress(requests.ConnectionError, requests.Timeout):
        return requests.get(f"{running.root}/openapi.json", timeout=5).status_code == 200
    return False


@contextmanager
def connection(port: int, source: str = OTHER, buffer_bytes: int | None = None) -> Iterator[socket.socket]:
    """From an address that is not the good reader's."""
    with socket.socket() as client:
        if buffer_bytes is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        client.settimeout(120)
        client.bind((source, 0))
        client.connect(("127.0.0.1", port))
        yield client


def exchanged(port: int, data: bytes) -> bytes:
    """What is answered to any bytes, until the other side closes, which it has to."""
    with connection(port) as client:
        with suppress(ConnectionError):
            client.sendall(data)
        return rest(client)


def rest(client: socket.socket) -> bytes:
    found = b""
    with suppress(ConnectionError):
        while piece := client.recv(1 << 18):
            found += piece
    return found


def statuses(answer: bytes) -> list[int]:
    """Of all that were answered on one connection. No body of ours has such a line in it."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


@contextmanager
def answered_all_the_while(url: str, accept: str) -> Iterator[list[int]]:
    """A good reader asks, from its own address, until the block ends; each time it gets what it asks for."""
    going, lengths = threading.Event(), list[int]()
    wrong: list[int] = []

    def ask() -> None:
        with requests.Session() as session:
            while not going.is_set():
                answer = session.get(url, headers={"accept": accept}, timeout=60)
                if answer.status_code != 200:
                    wrong.append(answer.status_code)
                lengths.append(len(answer.content))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    try:
        wait_until(lambda: lengths, "the first answer to a good reader")
        yield lengths
    finally:
        before = len(lengths)
        wait_until(lambda: len(lengths) > before or not asking.is_alive(), "an answer to a good reader")
        going.set()
        asking.join(60)
    assert wrong == []
    assert len(set(lengths)) == 1
