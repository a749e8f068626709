"""The multipart reader: whatever comes, in whatever pieces, it gives back what was put in, or one kind of error."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from itertools import pairwise, repeat

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from producers.dicom_router.stow.parts import BadBody, Parts

BOUNDARY = b"b'oundary"
# Bytes that look like what the reader looks for are what it may get wrong.
TRICKY = st.lists(
    st.sampled_from((b"\r", b"\n", b"-", b"--", b"\r\n--", BOUNDARY, b"\r\n--" + BOUNDARY[:-1], b"x", b"\0", b" ")),
    max_size=20,
).map(b"".join)
CONTENT = (TRICKY | st.binary(max_size=200)).filter(lambda data: b"--" + BOUNDARY not in data)


@dataclass
class Collected:
    """A sink that keeps everything, and sees that it is told in the right order."""

    headers: list[Mapping[str, str]] = field(default_factory=list)
    whole: list[bytes] = field(default_factory=list)
    open: bytearray | None = None

    def begin(self, headers: Mapping[str, str]) -> None:
        assert self.open is None
        self.headers.append(headers)
        self.open = bytearray()

    def data(self, piece: memoryview) -> None:
        assert self.open is not None
        self.open += piece

    def end_of_part(self) -> None:
        if self.open is not None:
            self.whole.append(bytes(self.open))
        self.open = None


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


def read(data: bytes, cuts: Sequence[int] = ()) -> tuple[Collected, bool]:
    sink = Collected()
    parts = Parts(BOUNDARY, sink)
    for piece in pieces(data, cuts):
        parts.write(piece)
    return sink, parts.ended


def composed(contents: Sequence[bytes], preamble: bytes = b"", epilogue: bytes = b"") -> bytes:
    head = b"\r\n--" + BOUNDARY + b"\r\nContent-Type: application/dicom\r\n\r\n"
    return preamble + b"".join(head + content for content in contents) + b"\r\n--" + BOUNDARY + b"--\r\n" + epilogue


@given(
    contents=st.lists(CONTENT, min_size=1, max_size=4), preamble=CONTENT, epilogue=TRICKY, cuts=st.lists(st.integers(0))
)
@example(contents=[b"\r\n--" + BOUNDARY[:-1]], preamble=b"", epilogue=b"", cuts=list(range(60)))
def test_what_was_put_in_comes_out_however_it_is_cut(
    contents: list[bytes], preamble: bytes, epilogue: bytes, cuts: list[int]
) -> None:
    sink, ended = read(composed(contents, preamble, epilogue), cuts)
    assert sink.whole == contents
    assert sink.headers == [{"content-type": "application/dicom"}] * len(contents)
    assert ended


@given(data=TRICKY | st.binary(max_size=300), cuts=st.lists(st.integers(0), max_size=10))
@example(data=b"--" + BOUNDARY + b"\r\n\r\n\r\n--" + BOUNDARY + b" x", cuts=[])
@example(data=b"--" + BOUNDARY + b"\r\n: \r\n\r\n", cuts=[])
def test_anything_at_all_is_parts_or_a_bad_body(data: bytes, cuts: list[int]) -> None:
    for body in (data, b"--" + BOUNDARY + b"\r\n" + data, composed([b"first"]) + data, composed([data])):
        with suppress(BadBody):
            read(body, cuts)


@given(contents=st.lists(st.binary(max_size=50).filter(lambda data: BOUNDARY not in data), min_size=1, max_size=3))
def test_it_agrees_with_the_standard_library(contents: list[bytes]) -> None:
    head = b'Content-Type: multipart/related; boundary="' + BOUNDARY + b'"\r\n'
    body = composed([content.hex().encode() for content in contents])
    theirs = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + b"\r\n" + body)
    assert [part.get_payload() for part in theirs.iter_parts()] == [one.decode() for one in read(body)[0].whole]


def test_headers_may_come_a_byte_at_a_time() -> None:
    body = composed([b"content"])
    sink, _ = read(body, list(range(len(body))))
    assert sink.headers == [{"content-type": "application/dicom"}]


@pytest.mark.parametrize("line", [b"X: " + b"y" * 5000, b"X" * 5000, b"\r\n".join([b"X: y"] * 17)])
def test_headers_have_a_ceiling(line: bytes) -> None:
    with pytest.raises(BadBody):
        read(b"--" + BOUNDARY + b"\r\n" + line + b"\r\n\r\n")


def test_headers_that_never_end_are_not_kept() -> None:
    parts = Parts(BOUNDARY, Collected())
    parts.write(b"--" + BOUNDARY + b"\r\n")
    with pytest.raises(BadBody):
        deque(map(parts.write, repeat(b"X" * 100, 100)))


def test_a_part_of_a_hundred_megabytes_is_passed_on_as_it_comes() -> None:
    class Counting(Collected):
        largest = total = 0

        def data(self, piece: memoryview) -> None:
            self.largest = max(self.largest, len(piece))
            self.total += len(piece)

    sink = Counting()
    parts = Parts(BOUNDARY, sink)
    parts.write(b"--" + BOUNDARY + b"\r\n\r\n")
    block = b"\r\n--" + bytes(65_532)
    for _ in range(1600):
        parts.write(block)
    assert sink.largest <= len(block) + len(BOUNDARY) + 4
    assert sink.total > 100_000_000
