"""Clients that ask for much and read little: what they ask for counts until they have read it, and has an end."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway import connections
from gateway.config import Settings
from gateway.limits import Limits
from gateway.memory import share_of
from gateway.pacing import Pacing
from gateway.problem import HANDLERS
from gateway.serving import listening, serve
from gateway.workers import Workers
from streams.clock import SystemClock
from streams.memory_log import MemoryLog
from streams.memory_store import MemoryStore
from tests.event_streams import TENANT
from tests.waiting import wait_until
from tests.worlds import context_of

# More than the kernel takes for a client that reads nothing.
LARGE = bytes(32 << 20)
REQUESTS_MAX = 4


@contextmanager
def gateway(**more: Any) -> Iterator[int]:
    """The limits of the gateway around a large answer, on a port."""
    settings = Settings(dsn="", port=0, http_port=0, stop_timeout_s=1.0, **more)
    context = context_of("gateway", TENANT, MemoryLog(), MemoryStore(), SystemClock())

    async def large(_: Request) -> Response:
        return Response(LARGE)

    async def held(request: Request) -> Response:
        await share_of(request).take(len(LARGE))
        return Response(LARGE)

    app = Starlette(
        routes=[Route("/large", large), Route("/held", held)],
        middleware=[Middleware(Limits, settings=settings), Middleware(Pacing)],
        exception_handlers=dict(HANDLERS),
    )
    with closing(listening(settings)) as port:
        server = threading.Thread(target=serve, args=(app, port, settings, context), daemon=True)
        server.start()
        try:
            yield port.getsockname()[1]
        finally:
            context.stopping.set()
            server.join(30.0)


@contextmanager
def asked(port: int, path: str, source: str = "127.0.0.1", buffer_bytes: int = 4096) -> Iterator[socket.socket]:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        client.settimeout(30)
        client.bind((source, 0))
        client.connect(("127.0.0.1", port))
        client.sendall(f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode())
        yield client


def status(client: socket.socket) -> int:
    return int(client.recv(12)[9:12])


def read(client: socket.socket) -> int:
    """How many bytes come until the other side ends."""
    count = 0
    try:
        while piece := client.recv(1 << 20):
            count += len(piece)
    except ConnectionResetError:
        pass
    return count


def test_an_answer_that_is_not_read_is_a_request_under_way() -> None:
    with gateway(requests_per_client_max=REQUESTS_MAX) as port, ExitStack() as slow:
        clients = [slow.enter_context(asked(port, "/large")) for _ in range(REQUESTS_MAX)]
        assert [status(client) for client in clients] == [200] * REQUESTS_MAX
        with asked(port, "/large") as one_more:
            assert status(one_more) == 429


def test_who_reads_nothing_is_cut_off_and_leaves_his_place() -> None:
    with gateway(requests_per_client_max=1, idle_timeout_s=3) as port, asked(port, "/large") as slow:
        assert status(slow) == 200

        def has_place() -> bool:
            with asked(port, "/large") as other:
                return status(other) == 200

        wait_until(has_place, "the place of who reads nothing")
        assert read(slow) < len(LARGE)


def test_who_reads_too_slowly_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """He takes a little now and then, so that he is never silent for long."""
    monkeypatch.setattr(connections, "_BYTES_PER_S_MIN", 1 << 40)
    with gateway(idle_timeout_s=3) as port, asked(port, "/large", buffer_bytes=1 << 18) as slow:
        came = 0

        def is_cut() -> bool:
            nonlocal came
            try:
                piece = slow.recv(1 << 18)
            except ConnectionResetError:
                return True
            came += len(piece)
            return not piece

        wait_until(is_cut, "the end of a slow reader")
        assert came < len(LARGE)


def test_who_reads_on_has_all_of_it() -> None:
    with gateway() as port, asked(port, "/large") as client:
        head = client.recv(1 << 10, socket.MSG_PEEK).partition(b"\r\n\r\n")[0]
        client.sendall(b"GET /nothing HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        assert read(client) > len(head) + 4 + len(LARGE)


def test_who_reads_slowly_takes_nobody_elses_memory() -> None:
    with gateway(memory_bytes_max=4 * len(LARGE), memory_wait_s=0.1) as port, ExitStack() as slow:
        clients = [slow.enter_context(asked(port, "/held", source="127.0.0.2")) for _ in range(3)]
        assert sorted(status(client) for client in clients) == [200, 200, 503]
        with asked(port, "/held") as other:
            assert status(other) == 200


def test_one_address_cannot_have_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_PER_CLIENT_MAX", 2)
    with gateway() as port, asked(port, "/large"), asked(port, "/large"):
        with asked(port, "/nothing", source="127.0.0.2") as other:
            assert status(other) == 404
        with asked(port, "/nothing") as third:
            assert read(third) == 0


def test_work_of_those_who_went_is_work_under_way() -> None:
    """As an answer in pieces ends when its client goes. Threads that nobody waits for would be any number."""
    at_work, most, lock = 0, 0, threading.Lock()

    async def asked() -> None:
        workers = Workers(1)
        for _ in range(3):
            begun = threading.Event()

            def work(begun: threading.Event = begun) -> None:
                nonlocal at_work, most
                with lock:
                    at_work += 1
                    most = max(most, at_work)
                begun.set()
                threading.Event().wait(0.2)
                with lock:
                    at_work -= 1

            async with anyio.create_task_group() as group:
                group.start_soon(workers.run, work)
                while not begun.is_set():
                    await anyio.sleep(0.001)
                group.cancel_scope.cancel()

    anyio.run(asked)
    assert most == 1


def test_what_was_raised_for_one_who_went_is_not_printed() -> None:
    """asyncio says of a future that nobody asked what it raised, with its text."""
    unheard: list[str] = []

    def work(begun: threading.Event, go_on: threading.Event) -> None:
        begun.set()
        go_on.wait(30)
        raise ValueError("DOE^JANE")

    async def asked() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, said: unheard.append(said["message"]))
        begun, go_on = threading.Event(), threading.Event()
        running = asyncio.create_task(Workers(1).run(lambda: work(begun, go_on)))
        await asyncio.to_thread(begun.wait, 30)
        running.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.wait([running])
        del running
        gc.collect()

    asyncio.run(asked())
    assert unheard == []
