"""multipart/related payloads (RFC 2387, PS3.18 section 8.6.1.2), a part at a time."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from starlette.responses import Response

from gateway.dicomweb.answering import AtHand
from gateway.streamed import Streamed

T = TypeVar("T")
_BETWEEN = b"\r\n"


@dataclass(frozen=True)
class Part:
    """`content_type` is the part's own; `pieces` its bytes, `length` how many, where that is known."""

    content_type: str
    pieces: AsyncIterator[bytes | memoryview]
    length: int | None = None


@dataclass(frozen=True)
class Boundary:
    text: str = field(default_factory=lambda: secrets.token_hex(16))

    def content_type(self, media_type: str, transfer_syntax: str | None = None) -> str:
        said = f"; transfer-syntax={transfer_syntax}" if transfer_syntax else ""
        return f'multipart/related; type="{media_type}"{said}; boundary={self.text}'

    def head(self, content_type: str, length: int | None) -> bytes:
        lines = [f"--{self.text}", f"Content-Type: {content_type}"]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        return "\r\n".join((*lines, "", "")).encode("ascii")

    def length(self, parts: Sequence[tuple[str, int]]) -> int:
        """Of a payload of parts of such content types and lengths."""
        return sum(len(self.head(*part)) + part[1] + len(_BETWEEN) for part in parts) + len(self.end)

    @property
    def end(self) -> bytes:
        return f"--{self.text}--\r\n".encode("ascii")


def response(
    parts: AsyncIterator[Part], media_type: str, headers: dict[str, str], whole: Sequence[tuple[str, int]] | None = None
) -> Response:
    """Parts as they come: give it what `primed` returns, so that what the first one raises is still an answer.

    `whole` are content type and length of all parts, where they are known: then the answer has a length, and its pieces
    go out as they are.
    """
    boundary = Boundary()
    said = {**headers, "content-type": boundary.content_type(media_type)}
    if whole is not None:
        said["content-length"] = str(boundary.length(whole))

    async def body() -> AsyncIterator[bytes | memoryview]:
        between = b""
        async for part in parts:
            yield between + boundary.head(part.content_type, part.length)
            async for piece in part.pieces:
                yield piece
            between = _BETWEEN
        yield between + boundary.end

    return Streamed(body(), headers=said)


def alone(
    content_type: str,
    data: bytes | memoryview,
    media_type: str,
    headers: dict[str, str],
    then: Callable[[], None] | None = None,
) -> Response:
    """One part, its bytes at hand; `then` as `AtHand` has it."""
    boundary = Boundary()
    head = boundary.head(content_type, len(data))
    said = {**headers, "content-type": boundary.content_type(media_type)}
    return AtHand((head, data, _BETWEEN + boundary.end), said, then=then)


async def primed(pieces: AsyncIterator[T]) -> AsyncIterator[T]:
    """The same, its first item made now."""
    first = await anext(pieces, None)

    async def again() -> AsyncIterator[T]:
        if first is not None:
            yield first
            async for piece in pieces:
                yield piece

    return again()


async def of_bytes(data: bytes | memoryview) -> AsyncIterator[bytes | memoryview]:
    yield data


async def in_turn(parts: Sequence[Part]) -> AsyncIterator[Part]:
    for part in parts:
        yield part
