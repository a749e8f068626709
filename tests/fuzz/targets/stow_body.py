"""The body of a STOW-RS request (RFC 2046 section 5.1): the same parts however it is cut, each between boundaries."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from producers.dicom_router.arrival import SUCCESS, Arrival
from producers.dicom_router.data_set import Room
from producers.dicom_router.incoming_file import Door
from producers.dicom_router.object_buffer import Budget, BufferPool
from producers.dicom_router.stow.answer import Answer
from producers.dicom_router.stow.media_types import JSON
from producers.dicom_router.stow.parts import PARTS_MAX, BadBody, Parts
from producers.dicom_router.stow.request import Accepted
from producers.dicom_router.stow.storing import Storing
from tests.fuzz.byte_stream import by_bytes, by_itself, pieces, whole
from tests.stow import body_of, file_of

BOUNDARY: Final = b"b'oundary"
INPUT_BYTES_MAX: Final = 8192
WORDS: Final = (
    *(b"\r\n--" + BOUNDARY, b"\r\n--" + BOUNDARY + b"--\r\n", b"--" + BOUNDARY + b"\r\n\r\n", b"\r\n", b"\r\n\r\n"),
    *(b"Content-Type: application/dicom\r\n\r\n", b"Content-Transfer-Encoding: base64\r\n", BOUNDARY[:-1], b"DICM"),
)
_BYTE_BY_BYTE_MAX: Final = 256
# A boundary with anything else behind it is of the part, in pixels too.
_DELIMITER: Final = re.compile(rb"\r\n--" + re.escape(BOUNDARY) + rb"(?:\r\n|--\r\n)")
_OBJECT_BYTES_MAX: Final = 1 << 20
_DOOR: Final = Door("STOW-RS", "STOW-RS", "RADSTREAM", Room(_OBJECT_BYTES_MAX, BufferPool(Budget(0)), Budget(0)))


class _Collected:
    def __init__(self) -> None:
        self.parts: list[tuple[Mapping[str, str], bytearray]] = []
        self.whole = 0

    def begin(self, headers: Mapping[str, str]) -> None:
        assert self.whole == len(self.parts)
        self.parts.append((headers, bytearray()))

    def data(self, piece: memoryview) -> None:
        self.parts[-1][1].extend(piece)

    def end_of_part(self) -> None:
        self.whole += 1


def seeds() -> Iterator[bytes]:
    name = BOUNDARY.decode()
    yield body_of([file_of()], boundary=name)
    yield b"a preamble" + body_of([file_of(), b"no DICOM", b""], boundary=name) + b"an epilogue"
    yield body_of([file_of()], head="Content-Type: text/plain\r\nX: y\r\n\r\n", boundary=name)


def check(data: bytes) -> None:
    first = _read(data, whole())
    assert _read(data, by_itself(data)) == first
    if len(data) <= _BYTE_BY_BYTE_MAX:
        assert _read(data, by_bytes()) == first
    parts, ended, _ = first
    at = 0
    for _, part in parts:
        # In their order, and nothing of a boundary in them.
        at = data.index(part + b"\r\n--" + BOUNDARY, at) + len(part)
        assert not _DELIMITER.search(part)
    answer = _stored(data)
    assert answer.http in (200, 202, 400, 409, 503, 413)
    assert (answer.http == 400) or parts or ended


def _read(data: bytes, cuts: Iterator[int]) -> tuple[list[tuple[dict[str, str], bytes]], bool, str]:
    """The parts that were whole, whether the closing boundary was seen, and what was wrong."""
    sink = _Collected()
    parts = Parts(BOUNDARY, sink)
    trouble = ""
    try:
        for piece in pieces(data, cuts):
            parts.write(piece)
    except BadBody as error:
        trouble = str(error)
    assert sink.whole <= PARTS_MAX
    return [(dict(headers), bytes(part)) for headers, part in sink.parts[: sink.whole]], parts.ended, trouble


def _stored(data: bytes) -> Answer:
    def store(arrival: Arrival) -> int:
        return arrival.fault.status if arrival.fault else SUCCESS

    storing = Storing(Accepted("", BOUNDARY, JSON), _DOOR, store)
    try:
        for piece in pieces(data, by_itself(data)):
            if not storing.write(piece):
                break
        return storing.end()
    finally:
        storing.close()
