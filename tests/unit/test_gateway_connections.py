"""Connections of the gateway that never come to a request."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from gateway.connections import HEAD_BYTES_MAX
from streams import metrics
from streams.memory_log import MemoryLog
from tests.gateways import Client, running_gateway
from tests.waiting import wait_until

NOWHERE = "postgresql://127.0.0.1:1/nowhere"
HEAD = b"GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n"


@pytest.fixture
def client() -> Iterator[Client]:
    with running_gateway(NOWHERE, MemoryLog(), idle_timeout_s=3) as client:
        yield client


@contextmanager
def connection(client: Client) -> Iterator[socket.socket]:
    address = urlsplit(client.root)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connected:
        yield connected


def rest(connected: socket.socket) -> bytes:
    """What comes until the other side closes."""
    found = b""
    while piece := connected.recv(1 << 16):
        found += piece
    return found


@pytest.mark.parametrize("endless", [b"x-%d: 1\r\n", b"x-one: ", b""])
def test_a_head_without_end_is_refused(client: Client, endless: bytes) -> None:
    """Many fields, one long field, one long path."""
    start = HEAD + (endless % 1 if b"%d" in endless else endless) if endless else b"GET /"
    more = b"".join(b"x-%d: 1\r\n" % number for number in range(10_000)) if b"%d" in endless else b"x" * 100_000
    with connection(client) as connected:
        connected.sendall(start)
        try:
            connected.sendall(more[: HEAD_BYTES_MAX + 1])
            assert rest(connected).startswith(b"HTTP/1.1 431 ")
        except ConnectionError:
            pytest.fail("closed before it was told why")


@pytest.mark.parametrize("sent", [b"", b"GET / HT", HEAD, HEAD + b"\r\n" + HEAD])
def test_who_sends_no_head_is_not_waited_for(client: Client, sent: bytes) -> None:
    with connection(client) as connected:
        connected.sendall(sent)
        assert rest(connected).count(b"HTTP/1.1 200 ") == sent.count(b"\r\n\r\n")


def test_a_request_may_be_longer_than_a_head(client: Client) -> None:
    body = b"x" * (2 * HEAD_BYTES_MAX)
    head = b"POST /study/1.2.3/reviews HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body)
    with connection(client) as connected:
        connected.sendall(head + body)
        assert rest(connected).startswith(b"HTTP/1.1 403 ")


def test_a_body_is_no_head_when_it_ends(client: Client) -> None:
    """Whose end comes by itself, after more than a head may have."""
    body = b"x" * (2 * HEAD_BYTES_MAX)
    head = HEAD.replace(b"GET", b"POST") + b"transfer-encoding: chunked\r\n\r\n"
    with connection(client) as connected:
        connected.sendall(head + b"%x\r\n%s\r\n" % (len(body), body))
        assert connected.recv(1 << 16).startswith(b"HTTP/1.1 405 ")
        connected.sendall(b"0\r\n\r\n" + HEAD + b"connection: close\r\n\r\n")
        assert rest(connected).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_does_not_come_is_not_waited_for(client: Client) -> None:
    head = b"POST /study/1.2.3/reviews HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\n"
    head += b"content-length: 9\r\n\r\n"
    with connection(client) as connected:
        connected.sendall(head + b"x")
        assert rest(connected).startswith(b"HTTP/1.1 408 ")


def test_whose_connection_ends_with_two_requests_unanswered_leaves_no_fault(client: Client) -> None:
    """The catalog is away, so the first is answered when what is no request has long ended the connection."""
    unanswered, failed = (metrics.GATEWAY_ANSWERS.labels("search", status) for status in ("503", "500"))
    before, faults = unanswered._value.get(), failed._value.get()
    with connection(client) as connected:
        connected.sendall(
            b"GET /dicomweb/studies HTTP/1.1\r\nhost: localhost\r\naccept: */*\r\n\r\n" * 2 + b"\0\r\n\r\n"
        )
        rest(connected)
    wait_until(lambda: unanswered._value.get() > before, "an answer to nobody", 30.0)
    with connection(client) as connected:
        connected.sendall(HEAD + b"connection: close\r\n\r\n")
        assert rest(connected).startswith(b"HTTP/1.1 200 ")
    assert failed._value.get() == faults
