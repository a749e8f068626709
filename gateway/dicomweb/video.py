"""Video: all frames are one stream, in one fragment or several (PS3.5 sections 8.2.5 to 8.2.11): it is one payload."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator, Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.dicomweb import multipart
from gateway.dicomweb.accepting import Chosen, accepted, chosen
from gateway.dicomweb.answering import head_only, headers, piece_of, record, tag_of, unchanged
from gateway.dicomweb.bulk import PIECES_BYTES
from gateway.dicomweb.frame_table import CUT
from gateway.dicomweb.frames import as_stored
from gateway.dicomweb.heads import Heads, Pixels
from gateway.dicomweb.served import Served
from gateway.flights import Flights
from gateway.memory import share_of
from gateway.parts import Parts
from gateway.problem import Problem
from gateway.reading import Blob, Reading
from gateway.streamed import Streamed
from streams.elements import ITEM, SEQUENCE_DELIMITER

_ITEM: Final = struct.Struct("<HHI")
_FRAGMENT: Final = struct.Struct("<QQ")
# A long one is found by a read of its own.
_FRAGMENTS_MAX: Final = 4096
_MANY_BYTES: Final = 64 << 10
# What is remembered of a video that has more; one that has none is broken, and not remembered.
_TOO_MANY: Final = b""

# Offset in the file and length (bytes) of each.
Fragments = Sequence[tuple[int, int]]


class Videos:
    """For one event loop."""

    def __init__(self, parts: Parts, reading: Reading, heads: Heads) -> None:
        self._parts, self._reading, self._heads = parts, reading, heads
        self._flights = Flights()

    async def answer(self, request: Request, served: Served) -> Response:
        """The stream as it is stored; where it is had alone, a range of it may be asked for, as players do.

        Raises Problem 404 where there is none, 406, 416, 422 for one that is broken, and as `Reading.part` does.
        """
        pixels = (await self._heads.of(served)).pixels
        if pixels is None:
            raise Problem(404, "The instance has no pixel data.")
        choice = chosen(accepted(request), as_stored(served.transfer_syntax, is_default=True, alone=True))
        if choice is None:
            raise Problem(406, "The video is not of a type that the request accepts.")
        tag = tag_of(served.digest, choice.content_type)
        if (same := unchanged(request, tag)) is not None:
            record(self._parts, request, served.study_uid, 1)
            return same
        if request.method == "HEAD":
            await self._reading.check_online(served.blob)
        said = headers(tag) | {"content-type": choice.content_type}
        if (nothing := head_only(request, said)) is not None:
            return nothing
        fragments = await self._fragments(served.blob, pixels)
        answer = await self._of(request, served.blob, fragments, choice, tag)
        record(self._parts, request, served.study_uid, 1)
        return answer

    async def _of(self, request: Request, blob: Blob, fragments: Fragments, choice: Chosen, tag: str) -> Response:
        length = sum(length for _, length in fragments)
        kind = choice.offer.content_type
        await share_of(request).take(min(length, PIECES_BYTES))
        if choice.multipart:
            part = multipart.Part(kind, await self._begun(blob, fragments, 0, length), length)
            whole = multipart.in_turn([part])
            return multipart.response(whole, choice.offer.media_type, headers(tag), [(kind, length)])
        piece = piece_of(request, tag, length)
        said = headers(tag) | piece.said | {"content-type": kind, "content-length": str(piece.count)}
        return Streamed(await self._begun(blob, fragments, piece.first, piece.count), piece.status, said)

    async def _begun(self, blob: Blob, fragments: Fragments, first: int, count: int) -> AsyncIterator[bytes]:
        return await multipart.primed(self._pieces(blob, fragments, first, count))

    async def _pieces(self, blob: Blob, fragments: Fragments, first: int, count: int) -> AsyncIterator[bytes]:
        for at, length in fragments:
            start, end = min(first, length), min(first + count, length)
            async for piece in self._reading.long_part(blob, at + start, end - start):
                yield piece
            first, count = first - start, count - (end - start)

    async def _fragments(self, blob: Blob, pixels: Pixels) -> Fragments:
        """Of a video, which may be of gigabytes, nothing but the heads of its items is read for that."""
        name = f"fragments {blob.digest}"
        known = self._parts.kept.at_hand(name)
        if known is None:
            known = await self._flights.shared(name, lambda: self._made(name, blob, pixels))
        if known == _TOO_MANY:
            raise Problem(422, "The video has too many fragments to be had by itself; retrieve its instance.")
        return list(_FRAGMENT.iter_unpack(known))

    async def _made(self, name: str, blob: Blob, pixels: Pixels) -> bytes:
        # The first item is the table, which is empty or says where the first fragment begins.
        items = [one async for one in self._items(blob, pixels)]
        if len(items) < 2:
            raise Problem(422, CUT)
        made = _TOO_MANY if len(items) > _FRAGMENTS_MAX + 1 else b"".join(_FRAGMENT.pack(*one) for one in items[1:])
        self._parts.kept.hold(name, made)
        return made

    async def _items(self, blob: Blob, pixels: Pixels) -> AsyncIterator[tuple[int, int]]:
        """At most one more than may be. Raises Problem 422."""
        at, length = pixels.at, 0
        window, start = b"", at
        for _ in range(_FRAGMENTS_MAX + 2):
            if not start <= at <= start + len(window) - _ITEM.size:
                # Behind a short one there are others.
                wanted = _MANY_BYTES if length < _MANY_BYTES else _ITEM.size
                window, start = await self._reading.part(blob, at, wanted), at
            if len(window) < _ITEM.size:
                raise Problem(422, CUT)
            group, element, length = _ITEM.unpack_from(window, at - start)
            tag = group << 16 | element
            if tag == SEQUENCE_DELIMITER:
                return
            at += _ITEM.size
            if tag != ITEM:
                raise Problem(422, "The pixel data of the instance are not made of fragments.")
            if at + length > pixels.end:
                raise Problem(422, CUT)
            yield at, length
            at += length
