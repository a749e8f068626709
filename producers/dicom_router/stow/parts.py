"""The parts of a multipart body, as its bytes come (RFC 2046 section 5.1, RFC 2387).

The grammar is python-multipart's. This adds a preamble, which it does not know, and ceilings.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final, Protocol

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

PARTS_MAX: Final = 10_000
PREAMBLE_BYTES_MAX: Final = 16 << 10
EPILOGUE_BYTES_MAX: Final = 64 << 10
_HEADERS_MAX: Final = 16
_HEADER_BYTES_MAX: Final = 4096

# It logs what it raises, and every hostile body would be a line.
logging.getLogger("python_multipart").setLevel(logging.CRITICAL)


class Sink(Protocol):
    """What is told of the parts, in their order."""

    def begin(self, headers: Mapping[str, str]) -> None:
        """`headers` by name in lower case; of one that stands there twice, the first counts."""

    def data(self, piece: memoryview) -> None:
        """More bytes of the part, valid during the call."""

    def end_of_part(self) -> None:
        """It is whole."""


class BadBody(Exception):
    """The body is not what its boundary says. The text is a sentence, without anything out of the body."""


class Parts:
    """A body that comes in: `write` as bytes come, `ended` once the closing boundary was seen."""

    def __init__(self, boundary: bytes, sink: Sink) -> None:
        self.ended = False
        self._sink = sink
        self._count = 0
        self._epilogue = 0
        self._headers: dict[str, str] = {}
        self._name, self._value = bytearray(), bytearray()
        self._opening = b"--" + boundary
        self._before: bytearray | None = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_begin,
                "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                "on_header_end": self._on_header,
                "on_headers_finished": lambda: self._sink.begin(self._headers),
                "on_part_data": self._on_data,
                "on_part_end": lambda: self._sink.end_of_part(),
                "on_end": self._on_end,
            },
            max_header_count=_HEADERS_MAX,
            max_header_size=_HEADER_BYTES_MAX,
        )

    def write(self, data: bytes) -> None:
        """Raises BadBody, and whatever the sink raises."""
        if self.ended:
            self._after(len(data))
        elif self._before is not None:
            self._begin(data)
        else:
            self._parse(data)

    def _begin(self, data: bytes) -> None:
        """Looks for the first boundary: at the very beginning, or at the beginning of a line."""
        before = self._before = (self._before or bytearray()) + data
        at = 0 if before.startswith(self._opening) else before.find(b"\n" + self._opening) + 1
        if before.startswith(self._opening) or at:
            self._before = None
            self._parse(bytes(before[at:]))
        elif len(before) > PREAMBLE_BYTES_MAX:
            raise BadBody("the boundary that the request names is not where its body begins")

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except MultipartParseError:
            raise BadBody("a boundary or the headers of a part are not as RFC 2046 has them") from None

    def _after(self, count: int) -> None:
        self._epilogue += count
        if self._epilogue > EPILOGUE_BYTES_MAX:
            raise BadBody("the body does not end behind its closing boundary")

    def _on_begin(self) -> None:
        self._count += 1
        if self._count > PARTS_MAX:
            raise BadBody(f"more than {PARTS_MAX} parts in one request: send the rest in another")
        self._headers = {}

    def _on_header(self) -> None:
        name = self._name.decode("latin-1").lower()
        self._headers.setdefault(name, self._value.decode("latin-1").strip())
        self._name.clear()
        self._value.clear()

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        self._sink.data(memoryview(data)[start:end])

    def _on_end(self) -> None:
        self.ended = True
