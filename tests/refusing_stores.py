"""Stores that do not take all: one over HTTP, which answers some keys in another way or not at all; one in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from streams.config import Store
from streams.memory_store import MemoryStore
from streams.objects import StoreRefused
from streams.s3 import S3Store
from streams.step import NewObject, Stored


@dataclass(frozen=True)
class Answer:
    """Status 0 is a connection that ends without any."""

    status: int
    body: str = ""


def coded(status: int, code: str) -> Answer:
    """As S3 says it."""
    return Answer(status, f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code></Error>')


TOO_LARGE = coded(400, "EntityTooLarge")
RESET = Answer(0)


@dataclass
class RefusingStore:
    """Over HTTP. `answers` is by a part of the key. `put` counts what was taken, `refused` what was not."""

    port: int
    answers: dict[str, Answer] = field(default_factory=dict)
    put: int = 0
    refused: int = 0

    def answer(self, path: str) -> Answer | None:
        found = next((answer for part, answer in self.answers.items() if part in path), None)
        self.put += found is None
        self.refused += found is not None
        return found

    @property
    def store(self) -> S3Store:
        endpoint = f"http://127.0.0.1:{self.port}"
        return S3Store(Store(endpoint=endpoint, access_key="a", secret_key="s", buckets={"hot": "hot"}))


@contextmanager
def refusing_store() -> Iterator[RefusingStore]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # What is written in two pieces waits for an acknowledgement of the first.
        disable_nagle_algorithm = True

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            answer = served.answer(self.path) or Answer(200)
            if not answer.status:
                self.close_connection = True
                return
            self.send_response(answer.status)
            self.send_header("etag", '"x"')
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served = RefusingStore(server.server_port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class RefusingMemoryStore(MemoryStore):
    """Refuses every original."""

    def create(self, new: NewObject) -> Stored:
        if new.key.endswith(".dcm"):
            raise StoreRefused("the object store refuses an object of 5 bytes (EntityTooLarge)")
        return super().create(new)
