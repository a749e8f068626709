"""Malformed, endless, slow and lying clients of the gateway: each is answered for what it is, or closed.

No request fails inside, memory stays bounded, and a good reader is answered all the while.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from urllib.parse import quote

import pytest
import requests
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.gateway_process import (
    MATRIX,
    OCTETS,
    Target,
    answered_all_the_while,
    connection,
    exchanged,
    gateway_process,
    statuses,
)
from tests.hostile_requests import (
    ENCODED,
    FORM,
    FORM_TYPES,
    HEADERS,
    METHOD,
    PART,
    PIECES,
    QUERY,
    STORED_TYPES,
    VALUE,
    WORD,
    Header,
    head,
)
from tests.running_stack import RunningStack
from tests.waiting import wait_until

pytestmark = [pytest.mark.stack, pytest.mark.timeout(3600)]

# What a frame takes while it is made; held is half of it.
FRAME_BYTES = MATRIX * MATRIX * 2
MEMORY_BYTES_MAX = 16 * FRAME_BYTES
# Above what the process has after the first answers.
GROWN_BYTES_MAX = 128 << 20
# `make fuzz` asks for more, and other ones each time.
EXAMPLES = int(os.environ.get("RADSTREAM_GATEWAY_EXAMPLES", "0"))
PATHS = (
    b"/dicomweb/studies /dicomweb/series /dicomweb/instances {study} {study}/series {study}/instances {study}/metadata "
    b"{instance} {instance}/metadata {instance}/frames {instance}/rendered {instance}/thumbnail {instance}/pixeldata "
    b"{instance}/bulkdata {instance}/frames/1/rendered /dicomweb / /viewer /app-config.js /study /static"
)
ANY = settings(
    deadline=None,
    derandomize=not EXAMPLES,
    max_examples=EXAMPLES or 25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def narrow(stack: RunningStack, target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The same with little memory to give, and patience with who does not read."""
    more = {"memory_bytes_max": MEMORY_BYTES_MAX, "memory_wait_s": 0.2}
    with gateway_process(stack, tmp_path_factory.mktemp("narrow"), **more) as gateway:
        yield replace(target, gateway=gateway)


@pytest.fixture(autouse=True)
def sound(target: Target) -> Iterator[None]:
    """Whatever a test sends: a good reader is answered, nothing fails inside, and memory stays what it was."""
    gateway = target.gateway
    requests.get(target.frame, headers={"accept": OCTETS}, timeout=60)
    before = gateway.rss()
    gateway.forget_peak()
    with answered_all_the_while(target.frame, OCTETS) as answers:
        yield
    print(f"{len(answers)} answers to a good reader; {(gateway.peak() - before) >> 20} MiB above {before >> 20}")  # noqa: T201
    assert gateway.faults() == []
    assert gateway.peak() - before < GROWN_BYTES_MAX


def told(target: Target, data: bytes) -> list[int]:
    """It is answered and closed, and not for a fault of ours."""
    found = statuses(exchanged(target.gateway.port, data))
    assert all(status < 500 for status in found), (found, data)
    return found


@ANY
@given(
    method=METHOD,
    start=st.sampled_from(PATHS.split()),
    more=st.lists(WORD, max_size=2),
    query=QUERY,
    headers=HEADERS,
)
@example(method=b"GET", start=b"/static", more=[b"%00"], query=b"", headers=[])
@example(method=b"GET", start=b"/", more=[b"%00", b"x"], query=b"", headers=[])
@example(method=b"GET", start=b"/", more=[b"%2e%2e", b"%2e%2e%2fetc%2fpasswd"], query=b"", headers=[])
@example(method=b"GET", start=b"/static", more=[b"x" * 300], query=b"", headers=[])
@example(method=b"GET", start=b"{instance}/rendered", more=[], query=b"viewport=8192,8192", headers=[])
@example(
    method=b"GET",
    start=b"/dicomweb/studies",
    more=[],
    query=b"PatientName=%F0%9F%98%80*&fuzzymatching=true",
    headers=[],
)
def test_no_path_query_or_header_makes_it_fail(
    target: Target,
    method: bytes,
    start: bytes,
    more: list[bytes],
    query: bytes,
    headers: list[Header],
) -> None:
    names = {b"{study}": f"/dicomweb/studies/{target.study}", b"{instance}": f"/dicomweb{target.instance}"}
    for name, path in names.items():
        start = start.replace(name, path.encode())
    path = b"/".join([start.rstrip(b"/") if more else start, *more])
    told(target, head(method, path + (b"?" + query if query else b""), headers))


@ANY
@given(PIECES)
def test_any_bytes_are_answered_or_closed(target: Target, pieces: list[bytes]) -> None:
    """Bytes that are no request at the end, so that none is waited for."""
    told(target, b"".join(pieces) + b"\r\n\r\n\x00\r\n\r\n")


@ANY
@given(
    study=st.one_of(st.just(b""), WORD),
    kind=st.sampled_from(FORM_TYPES),
    form=FORM,
    length=st.sampled_from([None, None, None, 2_000_000]),
)
@example(
    study=b"",
    kind=b"application/x-www-form-urlencoded",
    form=b"result=%00&verdict=confirmed&reviewer=a",
    length=None,
)
def test_no_form_makes_it_fail(target: Target, study: bytes, kind: bytes, form: bytes, length: int | None) -> None:
    path = b"/study/%s/reviews" % (study or target.study.encode())
    headers = [
        (b"origin", b"http://localhost"),
        (b"content-type", kind),
        (b"content-length", b"%d" % (length or len(form))),
    ]
    assert told(target, head(b"POST", path, headers) + form) != [303]


@ANY
@given(
    path=st.sampled_from([b"/dicomweb/studies", b"/dicomweb/studies/1.2.3", b"/dicomweb/studies/x"]),
    kind=st.sampled_from(STORED_TYPES),
    parts=st.lists(PART, max_size=4),
    chunked=st.booleans(),
    more=HEADERS,
)
def test_no_body_that_is_stored_makes_it_fail(
    target: Target, path: bytes, kind: bytes, parts: list[bytes], chunked: bool, more: list[Header]
) -> None:
    body = b"".join(parts)
    headers = [(b"content-type", kind), *((name, value) for name, value in more if name == b"accept")]
    if chunked:
        sent = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"
        headers.append((b"transfer-encoding", b"chunked"))
    else:
        sent = body
        headers.append((b"content-length", b"%d" % len(body)))
    assert 200 not in told(target, head(b"POST", path, headers) + sent)


@ANY
@given(position=st.one_of(VALUE, ENCODED), where=st.sampled_from([b"header", b"query"]))
def test_no_last_event_id_makes_it_fail_and_no_listener_stays(target: Target, position: bytes, where: bytes) -> None:
    """More of them than may listen at once."""
    query = b"?last-event-id=" + quote(position).encode() if where == b"query" else b""
    headers = [(b"last-event-id", position)] if where == b"header" else []
    for _ in range(4):
        with connection(target.gateway.port) as client:
            client.sendall(head(b"GET", b"/events" + query, headers))
            assert client.recv(12) in (b"HTTP/1.1 200", b"HTTP/1.1 400", b"HTTP/1.1 431")


# What is held.


def test_slow_readers_have_their_part_of_the_memory_and_no_more(narrow: Target) -> None:
    """They ask for a frame again and again and read none of it: what does not fit is refused, to come again."""
    port, accept = narrow.gateway.port, [(b"accept", OCTETS.encode())]
    path = f"/dicomweb{narrow.instance}/frames/1".encode()
    with answered_all_the_while(narrow.frame, OCTETS), ExitStack() as slow:
        answers = []
        for _ in range(14):
            client = slow.enter_context(connection(port, buffer_bytes=4096))
            client.sendall(head(b"GET", path + b",1" * 500, accept))
            answers.append(client.recv(1 << 10))
        kept = [answer for answer in answers if answer.startswith(b"HTTP/1.1 200 ")]
        refused = [answer for answer in answers if answer not in kept]
        # At least what is held, and at most what fits into half of the memory.
        assert 4 <= len(kept) <= MEMORY_BYTES_MAX // 2 // FRAME_BYTES
        assert all(answer.startswith(b"HTTP/1.1 503 ") and b"retry-after: " in answer for answer in refused)

    def has_room() -> bool:
        return statuses(exchanged(port, head(b"GET", path, accept))) == [200]

    wait_until(has_room, "what slow readers held, when they have gone")
    assert narrow.gateway.faults() == []


def test_many_connections_that_say_nothing_end(target: Target) -> None:
    with ExitStack() as idle:
        clients = [idle.enter_context(connection(target.gateway.port)) for _ in range(400)]
        for number, client in enumerate(clients):
            try:
                client.sendall(b"GET / HTTP/1.1\r\nx: " if number % 2 else b"")
            except ConnectionError:
                continue
        for client in clients:
            try:
                assert client.recv(1 << 10) == b""
            except ConnectionError:
                continue


def test_a_body_of_any_length_goes_through_in_pieces(target: Target) -> None:
    """Of 128 MB: what comes back is the router's, and the gateway's memory is what it was."""

    def body() -> Iterator[bytes]:
        yield b"--b\r\nContent-Type: application/dicom\r\n\r\n"
        for _ in range(128):
            yield bytes(1 << 20)
        yield b"\r\n--b--\r\n"

    answer = requests.post(
        f"{target.gateway.dicomweb}/studies",
        data=body(),
        headers={"content-type": 'multipart/related; type="application/dicom"; boundary=b'},
        timeout=120,
    )
    assert (answer.status_code, answer.headers["content-type"]) == (409, "application/dicom+json")
