"""A STOW-RS request's head and framing (RFC 9112, PS3.18 section 8): the same answer however the bytes are cut."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final, cast

from producers.dicom_router.stow import answer, request
from producers.dicom_router.stow.connection import BadFraming, BadHead, Connection, Gone
from producers.dicom_router.stow.request import Accepted, Rejected
from streams.identity import uid_is_usable
from tests.fuzz.byte_stream import ByteStream, by_bytes, by_itself, whole
from tests.stow import body_of, file_of, request_head

INPUT_BYTES_MAX: Final = 4096
WORDS: Final = (
    *(b"POST /studies HTTP/1.1\r\n", b"GET ", b"\r\n\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n"),
    *(b"Expect: 100-continue\r\n", b"Accept: ", b";q=0", b"boundary=", b'type="application/dicom"', b"0\r\n\r\n"),
    *(b"Content-Type: multipart/related; ", b"boundary*0=", b"boundary*=utf-8''", b"/studies/1.2.3"),
    b"Connection: close",
)
_BYTE_BY_BYTE_MAX: Final = 1024


def seeds() -> Iterator[bytes]:
    body = body_of([file_of()])
    yield request_head(len(body)) + body
    yield request_head(None, "Accept: */*") + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    yield request_head(3, "Expect: 100-continue") + b"abc" + request_head(0)
    yield b"GET /studies/1.2.3?x=y HTTP/1.1\r\nHost: a\r\nAccept: application/json;q=0.5, text/*;q=0\r\n\r\n"
    related = b'POST /studies HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/related; type="application/dicom"; '
    yield related + b"boundary*=utf-8''abc\r\nAccept: */*;q*=utf-8''0.5\r\nContent-Length: 0\r\n\r\n"
    yield related + b"boundary*0*=utf-8''a%20b;boundary*1=c\r\nContent-Length: 0\r\n\r\n"
    yield b"POST http://a/studies/1.2.3 HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"


def check(data: bytes) -> None:
    first = _exchanged(data, whole())
    assert _exchanged(data, by_itself(data)) == first
    if len(data) <= _BYTE_BY_BYTE_MAX:
        assert _exchanged(data, by_bytes()) == first


def _exchanged(data: bytes, cuts: Iterator[int]) -> tuple[list[tuple[Accepted | Rejected | int, bytes]], bytes]:
    """Each request with its body, and what was answered in all."""
    stream = ByteStream(data, cuts)
    connection = Connection(cast(Any, stream), 3600.0, 3600.0)
    found: list[tuple[Accepted | Rejected | int, bytes]] = []
    try:
        while True:
            try:
                asked = _asked(connection)
                body = _body(connection) if isinstance(asked, Accepted) else b""
                found.append((asked, body))
                http = 200 if isinstance(asked, Accepted) else asked.status
            except BadHead as error:
                found.append((error.status, b""))
                http = error.status
            except BadFraming as error:
                http = error.trouble.http
            HTTPStatus(http)
            if not connection.answer(answer.of_text(http, "an answer"), last=False):
                break
    except Gone:
        pass
    connection.close()
    return found, bytes(stream.said)


def _asked(connection: Connection) -> Accepted | Rejected:
    head = connection.head()
    headers: dict[str, str] = {}
    for name, value in head.headers:
        headers.setdefault(name.decode("latin-1"), value.decode("latin-1"))
    asked = request.read(head.method.decode("latin-1"), head.target.decode("latin-1"), headers)
    if isinstance(asked, Accepted):
        assert 0 < len(asked.boundary) <= 70
        assert not asked.study_uid or uid_is_usable(asked.study_uid)
    return asked


def _body(connection: Connection) -> bytes:
    connection.begin_body()
    came = b""
    while (piece := connection.body()) is not None:
        came += piece
    return came
