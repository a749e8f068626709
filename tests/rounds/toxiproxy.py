"""A toxiproxy of a test's own: proxies in front of servers, and what is done to the bytes that pass them."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import urllib3

from infra.local import ports
from infra.local.tools import toxiproxy
from tests.waiting import wait_until

Stream = Literal["upstream", "downstream"]
_ANSWER_S_MAX = 30.0


@dataclass
class Toxiproxy:
    """Its HTTP API, as its README describes it. Toxics are named, so that one is taken away and others stay."""

    url: str
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def proxy(self, name: str, listen: int, upstream: int) -> None:
        """Passes on what comes to the port `listen` of loopback."""
        places = {"listen": f"{ports.HOST}:{listen}", "upstream": f"{ports.HOST}:{upstream}"}
        self._call("POST", "/proxies", {"name": name, **places, "enabled": True})

    def close(self, proxy: str) -> None:
        """Cuts every connection, and takes none."""
        self._call("POST", f"/proxies/{proxy}", {"enabled": False})

    def open(self, proxy: str) -> None:
        self._call("POST", f"/proxies/{proxy}", {"enabled": True})

    def add(self, proxy: str, kind: str, stream: Stream, attributes: Mapping[str, int]) -> str:
        """The name of the new toxic."""
        name = f"{kind}-{next(self._numbers)}"
        toxic = {"name": name, "type": kind, "stream": stream, "toxicity": 1.0, "attributes": dict(attributes)}
        self._call("POST", f"/proxies/{proxy}/toxics", toxic)
        return name

    def remove(self, proxy: str, toxic: str) -> None:
        self._call("DELETE", f"/proxies/{proxy}/toxics/{toxic}")

    def answers(self) -> bool:
        try:
            return urllib3.request("GET", f"{self.url}/version", timeout=1.0, retries=False).status == 200
        except urllib3.exceptions.HTTPError:
            return False

    def _call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> None:
        answer = urllib3.request(method, self.url + path, json=body, timeout=_ANSWER_S_MAX, retries=False)
        assert answer.status < 300, f"toxiproxy: {method} {path}: {answer.status} {answer.data.decode()}"


@contextmanager
def run_toxiproxy(port: int, seed: int) -> Iterator[Toxiproxy]:
    """Starts one without proxies, and kills it."""
    process = subprocess.Popen(
        [toxiproxy.program(), "-host", ports.HOST, "-port", str(port), "-seed", str(seed)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"LOG_LEVEL": "fatal"},
    )
    started = Toxiproxy(f"http://{ports.HOST}:{port}")
    try:
        wait_until(started.answers, "toxiproxy's first answer")
        yield started
    finally:
        process.kill()
        process.wait()
