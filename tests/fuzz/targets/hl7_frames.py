"""MLLP: however the bytes come in pieces, the same messages come out, and they are what stands between the blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, cast

from producers.orders.framing import END, START, Frames, Unframed, framed
from tests.fuzz.byte_stream import ByteStream, by_bytes, by_itself, whole
from tests.hl7_messages import OMI, ORM

INPUT_BYTES_MAX: Final = 8192
WORDS: Final = (START, END, END + b"\r", b"\r\n", framed(b"MSH|^~\\&"), framed(b""))
_MESSAGE_BYTES_MAX: Final = 2048
_BYTE_BY_BYTE_MAX: Final = 2048
_FRAME: Final = re.compile(rb"[\r\n\0 ]*\x0b([^\x0b\x1c]*)\x1c")


def seeds() -> Iterator[bytes]:
    yield framed(OMI.encode())
    yield framed(OMI.encode()) + framed(ORM.encode()) + framed(b"")
    yield b"\r\n" + framed(ORM.encode()) + b"\n\r" + framed(ORM.encode())[:-1]


def check(data: bytes) -> None:
    first = _messages(ByteStream(data, whole()))
    assert _messages(ByteStream(data, by_itself(data))) == first
    if len(data) <= _BYTE_BY_BYTE_MAX:
        assert _messages(ByteStream(data, by_bytes())) == first
    at, expected = 0, []
    while (found := _FRAME.match(data, at)) and len(found[1]) <= _MESSAGE_BYTES_MAX:
        expected.append(found[1])
        at = found.end()
    assert first[0] == expected


def _messages(stream: ByteStream) -> tuple[list[bytes], str]:
    """The messages, and why it could not go on; empty where the peer closed between two."""
    frames = Frames(cast(Any, stream), _MESSAGE_BYTES_MAX, 3600.0, 3600.0)
    found = []
    try:
        while (message := frames.next()) is not None:
            found.append(message)
    except Unframed as error:
        return found, error.why
    return found, ""
