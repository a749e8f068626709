"""A reader of `/events` that comes back whenever it is cut off: it hears everything once."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator

import urllib3

# A silent stream says something every fifteen seconds.
_SILENT_S_MAX = 40.0


class Listening:
    """Runs in a thread of its own, from `start` to `stop`. `heard` counts each (study, revision)."""

    def __init__(self, root: str) -> None:
        self._url = f"{root}/events"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="listener", daemon=True)
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(connect=10.0, read=_SILENT_S_MAX))
        self._last = ""
        self.heard: Counter[tuple[str, int]] = Counter()
        self.connections = 0
        self.resets = 0
        # What came that is no event of this gateway's, nor a refusal that says when to come back.
        self.strange: list[str] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    @property
    def is_placed(self) -> bool:
        """Whether it has a place in the log to come back to."""
        return bool(self._last)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._listen()
            except urllib3.exceptions.HTTPError:
                self._stopping.wait(0.2)

    def _listen(self) -> None:
        headers = {"last-event-id": self._last} if self._last else {}
        came = self._pool.request("GET", self._url, headers=headers, preload_content=False)
        try:
            if came.status != 200:
                if came.status != 503 or "retry-after" not in came.headers:
                    self.strange.append(f"{came.status} {came.data[:100]!r}")
                self._stopping.wait(0.2)
                return
            self.connections += 1
            for block in self._blocks(came):
                self._hear(block)
        finally:
            came.close()

    def _blocks(self, came: urllib3.BaseHTTPResponse) -> Iterator[dict[str, str]]:
        """Events that came whole; the last one of a stream that was cut is not one (WHATWG HTML, section 9.2.6)."""
        rest = b""
        while not self._stopping.is_set() and (data := came.read1(1 << 16)):
            *whole, rest = (rest + data).split(b"\n\n")
            for block in whole:
                yield dict(line.split(": ", 1) for line in block.decode().splitlines() if ": " in line)

    def _hear(self, block: dict[str, str]) -> None:
        kind = block.get("event")
        self.resets += kind == "reset"
        if kind == "revision":
            said = json.loads(block["data"])
            self.heard[said["study"], said["revision"]] += 1
        # After it was taken in: who is cut off in between hears it again, and this one is not.
        self._last = block.get("id", self._last)
