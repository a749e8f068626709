"""What every answer of a retrieve has: validators (RFC 9110 section 8.8), what may be cached, and who read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.parts import Parts
from gateway.problem import Problem

# A path names an instance, not its bytes: it may be withheld, or another content served. So a cache asks again, and is
# told in a line that nothing has changed.
REVALIDATED = "private, no-cache"


def tag_of(*parts: str | Iterable[str]) -> str:
    """A strong validator: equal where every byte of the answer is, but for the boundary of parts."""
    digest = hashlib.sha256()
    for part in parts:
        for text in (part,) if isinstance(part, str) else part:
            digest.update(text.encode() + b"\0")
        digest.update(b"\1")
    return f'"{digest.hexdigest()[:40]}"'


def headers(tag: str, *, cache: str = REVALIDATED) -> dict[str, str]:
    return {"etag": tag, "cache-control": cache, "vary": "accept"}


def unchanged(request: Request, tag: str) -> Response | None:
    """304 where the client has it (RFC 9110 section 13.1.2)."""
    said = ",".join(request.headers.getlist("if-none-match"))
    if not said:
        return None
    known = {one.strip().removeprefix("W/") for one in said.split(",")}
    return Response(status_code=304, headers=headers(tag)) if tag in known or "*" in known else None


class AtHand(Response):
    """An answer whose pieces are all there: each goes to the socket as it is, and nothing is copied into one.

    `then` is called behind the last of them: what is begun before the client has his answer competes with it.
    """

    def __init__(
        self,
        pieces: Sequence[bytes | memoryview],
        said: Mapping[str, str],
        status: int = 200,
        then: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(status_code=status, headers={**said, "content-length": str(sum(map(len, pieces)))})
        self._pieces, self._then = pieces, then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        last = len(self._pieces) - 1
        for number, piece in enumerate(self._pieces):
            await send({"type": "http.response.body", "body": piece, "more_body": number < last})
        if self._then is not None:
            self._then()


def head_only(request: Request, said: dict[str, str]) -> Response | None:
    """What HEAD is answered, without reading what it would be about (RFC 9110 section 9.3.2). Whoever asks this has
    seen to it that what is archived is said, as GET says it."""
    if request.method != "HEAD":
        return None
    answer = Response(headers=said)
    if "content-length" not in said:
        del answer.headers["content-length"]
    return answer


# None of it is tried twice: of 60 kB of blanks the pairs would take seconds.
_BYTES = re.compile(r"\s*+bytes\s*+=\s*+([0-9]{0,18})\s*+-\s*+([0-9]{0,18})\s*+\Z", re.IGNORECASE)


def byte_range(request: Request, tag: str, length: int) -> tuple[int, int] | None:
    """First byte and number of bytes of the one range that is asked for; None where all is.

    (-1, 0) where it has none (416). Several ranges, and one of another version, are answered with everything
    (RFC 9110 sections 13.1.5 and 14.2).
    """
    found = _BYTES.match(request.headers.get("range", ""))
    if found is None or request.headers.get("if-range", tag).strip() != tag or not (found[1] or found[2]):
        return None
    if not found[1]:
        count = min(int(found[2]), length)
        return (length - count, count) if count else (-1, 0)
    first, last = int(found[1]), int(found[2] or length - 1)
    if found[2] and last < first:
        return None
    return (first, min(last, length - 1) - first + 1) if first < length else (-1, 0)


@dataclass(frozen=True)
class Piece:
    """`count` bytes of a payload from `first` on: all of it, or the range that is asked for."""

    first: int
    count: int
    status: int
    said: dict[str, str]


def piece_of(request: Request, tag: str, length: int) -> Piece:
    """Of a payload that ranges may be asked of. Raises Problem 416."""
    said = {"accept-ranges": "bytes"}
    wanted = byte_range(request, tag, length)
    if wanted is None:
        return Piece(0, length, 200, said)
    first, count = wanted
    if first < 0:
        raise Problem(416, "It has no such bytes.", {"content-range": f"bytes */{length}"})
    return Piece(first, count, 206, said | {"content-range": f"bytes {first}-{first + count - 1}/{length}"})


def reader_of(request: Request) -> str:
    """Who read, until there is sign-in: an address."""
    return request.client.host if request.client is not None else "unknown"


def record(parts: Parts, request: Request, study_uid: str, objects: int) -> None:
    """Before the client is told that it has it already: who is shown it out of his own cache reads it too."""
    if request.method != "HEAD":
        parts.accesses.record(study_uid, reader_of(request), objects)
