"""S3's archive classes in front of a gateway that has none: what lies in one bucket has to be restored before a GET.

As the S3 API has it: GET answers 403 InvalidObjectState, RestoreObject 202 and then 409 RestoreAlreadyInProgress, HEAD
says `x-amz-storage-class` and, once it was asked for, `x-amz-restore`. All else goes to the gateway and comes from it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import urllib3

_ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>{}</Message></Error>"
_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


class Glacier:
    """`asked` are the paths that were asked for, in their order; `is_awake` says that all of them are there by now."""

    def __init__(self, upstream: str, bucket: str) -> None:
        self.upstream, self.bucket = upstream.rstrip("/"), bucket
        self.asked: list[str] = []
        self.reads: list[str] = []
        self.is_awake = False
        self.pool = urllib3.PoolManager(maxsize=16, retries=False)
        self.url = ""

    def holds(self, path: str) -> bool:
        return path.startswith(f"/{self.bucket}/") and len(path) > len(self.bucket) + 2

    def can_be_read(self, path: str) -> bool:
        return not self.holds(path) or (self.is_awake and path in self.asked)


@contextmanager
def glacier(upstream: str, bucket: str) -> Iterator[Glacier]:
    """Listens on a free port of loopback until the block ends."""
    found = Glacier(upstream, bucket)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"glacier": found}))
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    glacier: Glacier

    def _answer(self) -> None:
        split = urlsplit(self.path)
        path, query = split.path, split.query
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.command == "POST" and "restore" in query.split("&") and self.glacier.holds(path):
            self._restore(path)
        elif self.command == "GET" and not self.glacier.can_be_read(path):
            self._say(403, _ERROR.format("InvalidObjectState", "archived"))
        else:
            self._pass_on(path, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _answer

    def _restore(self, path: str) -> None:
        if path in self.glacier.asked:
            self._say(409, _ERROR.format("RestoreAlreadyInProgress", "it is under way"))
            return
        self.glacier.asked.append(path)
        self._say(202, "")

    def _pass_on(self, path: str, body: bytes) -> None:
        # Host is signed, and so goes on as it came.
        answer = self.glacier.pool.request(
            self.command, self.glacier.upstream + self.path, body=body, headers=dict(self.headers.items()), timeout=30
        )
        headers: dict[str, Any] = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP}
        if self.command == "HEAD" and answer.status == 200 and self.glacier.holds(path):
            headers["x-amz-storage-class"] = "GLACIER"
            if path in self.glacier.asked:
                is_ongoing = "false" if self.glacier.is_awake else "true"
                headers["x-amz-restore"] = f'ongoing-request="{is_ongoing}"'
        if self.command == "GET" and self.glacier.holds(path):
            self.glacier.reads.append(path)
        length = answer.headers.get("content-length", "0") if self.command == "HEAD" else str(len(answer.data))
        self._send(answer.status, {**headers, "content-length": length}, answer.data)

    def _say(self, status: int, text: str) -> None:
        self._send(status, {"content-type": "application/xml", "content-length": str(len(text))}, text.encode())

    def _send(self, status: int, headers: dict[str, Any], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""
