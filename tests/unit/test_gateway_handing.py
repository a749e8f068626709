"""What is posted to the gateway goes to the router as it comes: in pieces, no faster than it is taken, and whole."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from gateway.dicomweb import handing
from streams.memory_log import MemoryLog
from tests.certificates import Authority
from tests.gateways import running_gateway
from tests.keepalive import asked_after_in_s
from tests.waiting import wait_until

NOWHERE = "postgresql://127.0.0.1:1/nowhere"
MULTIPART = 'multipart/related; type="application/dicom"; boundary=b'
PIECE = bytes(range(256)) * 256


class Router:
    """Takes one request, and says what it was. `takes` is set as soon as it may read a body."""

    def __init__(
        self, answers_early: bool = False, tls: ssl.SSLContext | None = None, takes_bytes: int = 1 << 62
    ) -> None:
        """It takes nothing beyond `takes_bytes`, and says nothing to it until it is `gone`."""
        self.takes, self.gone = threading.Event(), threading.Event()
        self.ends = (0, 0)
        self._takes_bytes = takes_bytes
        self.body_bytes, self.head = 0, b""
        self._answers_early = answers_early
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self._listening.getsockname()[1]}"
        if tls is not None:
            self._listening = tls.wrap_socket(self._listening, server_side=True)
        self.serving = self.one_more()

    def one_more(self) -> threading.Thread:
        """What takes a request, once it is started."""
        return threading.Thread(target=self._serve, daemon=True)

    def close(self) -> None:
        self.gone.set()
        self._listening.close()

    def _serve(self) -> None:
        try:
            connected, _ = self._listening.accept()
        except OSError:
            return  # Closed, and nobody had come.
        self.ends = (connected.getpeername()[1], connected.getsockname()[1])
        with connected, connected.makefile("rb") as coming:
            while (line := coming.readline()).strip():
                self.head += line.lower()
            digest = hashlib.sha256()
            if self._answers_early:
                self._answer(connected, 415, b"not that")
                while connected.recv(1 << 16):
                    pass
                return
            self.takes.wait(30)
            while size := int(coming.readline().strip() or b"0", 16):
                piece = coming.read(size + 2)[:-2]
                digest.update(piece)
                self.body_bytes += len(piece)
                if self.body_bytes >= self._takes_bytes:
                    self.gone.wait()
                    return
            self._answer(connected, 200, digest.hexdigest().encode())

    @staticmethod
    def _answer(connected: socket.socket, status: int, body: bytes) -> None:
        head = f"HTTP/1.1 {status} -\r\ncontent-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n"
        connected.sendall(head.encode() + body)


@contextmanager
def routing(router: Router) -> Iterator[Router]:
    router.serving.start()
    try:
        yield router
    finally:
        router.close()


def post(url: str, body: Iterator[bytes] | bytes) -> requests.Response:
    return requests.post(f"{url}/studies", data=body, headers={"content-type": MULTIPART}, timeout=60)


def test_a_body_larger_than_a_form_goes_through_whole() -> None:
    pieces = 200
    with routing(Router()) as router, running_gateway(NOWHERE, MemoryLog(), stow_url=router.url) as client:
        router.takes.set()
        answer = post(client.root, (PIECE for _ in range(pieces)))
    assert (answer.status_code, answer.text) == (200, hashlib.sha256(PIECE * pieces).hexdigest())
    assert b"content-type: multipart/related" in router.head


def test_a_router_that_stores_a_large_part_is_waited_for_as_long_as_that_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads nothing of the next part meanwhile."""
    pieces, silent_s = 1000, 0.5
    monkeypatch.setattr(handing, "_TAKEN_S_MAX", silent_s)
    monkeypatch.setattr(handing, "PUT_BYTES_PER_S_MIN", len(PIECE))
    handed, began = [], time.monotonic()

    def body() -> Iterator[bytes]:
        for number in range(pieces):
            handed.append(number)
            yield PIECE

    with (
        routing(Router()) as router,
        running_gateway(NOWHERE, MemoryLog(), stow_url=router.url) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        answer = threads.submit(post, client.root, body())
        wait_until(lambda: handed and time.monotonic() > began + 4 * silent_s, "what is small to be given up")
        assert len(handed) < pieces
        router.takes.set()
        assert answer.result().status_code == 200


def test_what_a_router_has_stored_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads on as one part is stored: what came before the last part that there may be has had its time."""
    taken = 400
    monkeypatch.setattr(handing, "_TAKEN_S_MAX", 2.0)
    monkeypatch.setattr(handing, "_PART_BYTES_MAX", len(PIECE))
    monkeypatch.setattr(handing, "PUT_BYTES_PER_S_MIN", len(PIECE))
    with (
        routing(Router(takes_bytes=taken * len(PIECE))) as router,
        running_gateway(NOWHERE, MemoryLog(), stow_url=router.url) as client,
    ):
        router.takes.set()
        answer = post(client.root, (PIECE for _ in range(4 * taken)))
        assert (answer.status_code, router.body_bytes >= taken * len(PIECE)) == (503, True)


def test_a_router_that_is_waited_for_is_asked_after_by_the_kernel() -> None:
    """One whose machine died says nothing more."""
    with (
        routing(Router(takes_bytes=len(PIECE))) as router,
        running_gateway(NOWHERE, MemoryLog(), stow_url=router.url) as client,
    ):
        router.takes.set()
        posting = threading.Thread(target=post, args=(client.root, iter([PIECE])), daemon=True)
        posting.start()
        wait_until(lambda: router.body_bytes == len(PIECE), "the body at the router")
        wait_until(lambda: (asked_after_in_s(*router.ends) or 99) <= 30, "the question after the router")
        router.gone.set()
        posting.join(30)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_body_goes_through_tls_whole(
    version: ssl.TLSVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server's tickets, which come unasked (RFC 8446 section 4.6.1), are no answer."""
    authority = Authority(tmp_path)
    identity = authority.issue("router", hosts=("127.0.0.1",))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(identity.certificate_file, identity.key_file)
    tls.minimum_version = tls.maximum_version = version
    pieces = 200
    with routing(Router(tls=tls)) as router, running_gateway(NOWHERE, MemoryLog(), stow_url=router.url) as client:
        router.takes.set()
        answer = post(client.root, (PIECE for _ in range(pieces)))
    assert (answer.status_code, answer.text) == (200, hashlib.sha256(PIECE * pieces).hexdigest())


def test_a_process_with_many_descriptors_hands_on() -> None:
    """More than select() takes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    held = [os.dup(0) for _ in range(1100)]
    try:
        with routing(Router()) as router, running_gateway(NOWHERE, MemoryLog(), stow_url=router.url) as client:
            router.takes.set()
            answer = post(client.root, iter([PIECE]))
    finally:
        for one in held:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert answer.status_code == 200


def test_a_client_sends_no_faster_than_the_router_takes() -> None:
    """Else all of it were here."""
    sent = 0
    more = threading.Event()

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        while not more.is_set():
            sent += 1
            yield PIECE

    with routing(Router()) as router, running_gateway(NOWHERE, MemoryLog(), stow_url=router.url) as client:
        posting = threading.Thread(target=post, args=(client.root, pieces()), daemon=True)
        posting.start()
        seen = -1

        def has_stopped() -> bool:
            nonlocal seen
            before, seen = seen, sent
            return sent == before > 0

        wait_until(has_stopped, "a client that waits")
        # What the kernel holds of two connections, and little besides.
        assert sent * len(PIECE) < 64 << 20
        more.set()
        router.takes.set()
        posting.join(30)
        assert router.body_bytes == sent * len(PIECE)


def test_an_answer_before_the_end_of_the_body_is_the_answer() -> None:
    with (
        routing(Router(answers_early=True)) as router,
        running_gateway(NOWHERE, MemoryLog(), stow_url=router.url) as client,
    ):
        answer = post(client.root, (PIECE for _ in range(2000)))
    assert (answer.status_code, answer.text) == (415, "not that")


@pytest.mark.parametrize("is_announced", [True, False])
def test_what_is_longer_than_it_may_be_is_refused(is_announced: bool) -> None:
    body = PIECE * 4
    with (
        routing(Router()) as router,
        running_gateway(NOWHERE, MemoryLog(), stow_url=router.url, stow_bytes_max=len(body) - 1) as client,
    ):
        router.takes.set()
        answer = post(client.root, body if is_announced else iter([body]))
        assert (answer.status_code, answer.json()["status"]) == (413, 413)


def test_who_goes_in_the_middle_leaves_no_traceback(written: object) -> None:
    with routing(Router()) as router, running_gateway(NOWHERE, MemoryLog(), stow_url=router.url) as client:
        router.takes.set()
        address = urlsplit(client.root)
        with socket.create_connection((address.hostname, address.port), timeout=30) as gone:
            head = f"POST /dicomweb/studies HTTP/1.1\r\nhost: localhost\r\ncontent-type: {MULTIPART}\r\n"
            gone.sendall(head.encode() + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
            wait_until(lambda: router.body_bytes == 5, "the first bytes at the router")
        router.serving.join(30)
        assert not router.serving.is_alive()
        assert client.get(client.root.removesuffix("/dicomweb") + "/openapi.json", timeout=30).status_code == 200
    said = [json.loads(line) for line in written.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert [line["event"] for line in said if "exception" in line or line["level"] == "error"] == []


def test_a_router_that_is_away_is_said_to_be() -> None:
    with running_gateway(NOWHERE, MemoryLog(), stow_url="http://127.0.0.1:1") as client:
        answer = post(client.root, b"--b--")
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


def test_more_than_may_store_at_once_are_told_to_come_again() -> None:
    with routing(Router()) as router, running_gateway(NOWHERE, MemoryLog(), stow_url=router.url, workers=1) as client:
        more = threading.Event()

        def slow() -> Iterator[bytes]:
            yield b"hello"
            more.wait(30)

        posting = threading.Thread(target=post, args=(client.root, slow()), daemon=True)
        router.takes.set()
        posting.start()
        wait_until(lambda: router.body_bytes == 5, "the first bytes at the router")
        answer = post(client.root, b"--b--")
        more.set()
        posting.join(30)
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)


def test_one_address_leaves_places_to_store_to_the_others() -> None:
    """However slowly it sends."""
    head = f"POST /dicomweb/studies HTTP/1.1\r\nhost: localhost\r\ncontent-type: {MULTIPART}\r\n"
    with (
        routing(Router()) as router,
        running_gateway(NOWHERE, MemoryLog(), stow_url=router.url, workers=2) as client,
        ExitStack() as slow,
    ):
        router.takes.set()
        router.one_more().start()

        def begun() -> socket.socket:
            address = urlsplit(client.root)
            asked = slow.enter_context(socket.socket())
            asked.settimeout(30)
            asked.bind(("127.0.0.2", 0))
            asked.connect((address.hostname, address.port))
            asked.sendall(head.encode() + b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
            return asked

        begun()
        wait_until(lambda: router.body_bytes == 5, "the first bytes at the router")
        assert begun().recv(12) == b"HTTP/1.1 503"
        assert post(client.root, iter([b"--b--"])).status_code == 200
