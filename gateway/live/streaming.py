"""`GET /events`: server-sent events (WHATWG HTML, section 9.2), resumable by `Last-Event-ID` without gaps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from gateway.live.feed import Entry, Feed, Listener
from gateway.live.position import BadPosition
from gateway.parts import Parts
from gateway.problem import Problem
from streams.identity import uid_is_usable
from streams.log import LogAway, LogRefused

MEDIA_TYPE = "text/event-stream"
# Proxies close what is silent; and the id of a listener that hears nothing goes on with the log.
_SILENT_S = 15.0
_AGAIN_MS = 2000
_AWAY = Problem(503, "The log does not answer; ask again.", {"retry-after": "2"})


def routes(parts: Parts) -> list[BaseRoute]:
    feed = Feed(parts.context.log, parts.workers, parts.tenant)

    async def events(request: Request) -> Response:
        study = request.query_params.get("study")
        if study is not None and not uid_is_usable(study):
            raise Problem(400, "study is no UID (PS3.5 section 9.1).")
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        if request.method == "HEAD":
            return Response(headers=headers, media_type=MEDIA_TYPE)
        if feed.listeners >= parts.settings.listeners_max:
            raise Problem(503, "Too many listen to events.", {"retry-after": "10"})
        try:
            listener = await feed.listen()
        except (LogAway, LogRefused):
            raise _AWAY from None
        last = request.headers.get("last-event-id") or request.query_params.get("last-event-id")
        return _Listened(feed, listener, _Stream(feed, listener, study), last, headers)

    return [Route("/events", events, methods=["GET"])]


class _Listened(StreamingResponse):
    """A stream whose listener is let go also where its client went before the first piece."""

    def __init__(
        self, feed: Feed, listener: Listener, stream: _Stream, last: str | None, headers: dict[str, str]
    ) -> None:
        super().__init__(stream.pieces(last), media_type=MEDIA_TYPE, headers=headers)
        self._feed, self._listener = feed, listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._feed.leave(self._listener)


class _Stream:
    """What one listener is told. `study` leaves out all others."""

    def __init__(self, feed: Feed, listener: Listener, study: str | None) -> None:
        self._feed, self._listener, self._study = feed, listener, study

    async def pieces(self, last: str | None) -> AsyncIterator[bytes]:
        async with self._on_the_list():
            yield b"retry: %d\n\n" % _AGAIN_MS
            try:
                async for entry in self._missed(last or ""):
                    yield self._piece(entry)
            except LogAway:
                # It comes back with the id that it has by now.
                return
            if last is None:
                # So that it can come back here, also when it has heard nothing until then.
                yield _place(self._feed.positions.id_of(self._listener.position))
            while not self._is_over:
                yield await self._next()

    @property
    def _is_over(self) -> bool:
        return self._listener.has_ended and self._listener.entries.empty()

    @asynccontextmanager
    async def _on_the_list(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self._feed.leave(self._listener)

    async def _missed(self, last: str) -> AsyncIterator[Entry | None]:
        """None stands for what cannot be told any more: the listener has to look for itself."""
        if not last:
            return
        try:
            start = self._feed.positions.read(last)
        except BadPosition:
            yield None
            return
        async for entry in self._feed.missed(start, self._listener.position, self._study):
            yield entry

    async def _next(self) -> bytes:
        """The next event that it is told; after a while without one, where it has got to."""
        until_s = time.monotonic() + _SILENT_S
        reached = None
        while not self._is_over and (left_s := until_s - time.monotonic()) > 0:
            try:
                entry = await asyncio.wait_for(self._listener.entries.get(), left_s)
            except TimeoutError:
                break
            if entry is None:
                break
            if piece := self._piece(entry):
                return piece
            reached = entry.id
        if not self._listener.has_ended and self._listener.entries.empty():
            reached = self._feed.here
        return b"" if reached is None else _place(reached)

    def _piece(self, entry: Entry | None) -> bytes:
        if entry is None:
            here = self._feed.positions.id_of(self._listener.position)
            return b"id: %s\nevent: reset\ndata: {}\n\n" % here.encode()
        if self._study is not None and entry.told.study_uid != self._study:
            return b""
        said = msgspec.json.encode(entry.told.said)
        return b"id: %s\nevent: %s\ndata: %s\n\n" % (entry.id.encode(), entry.told.kind.encode(), said)


def _place(position: str) -> bytes:
    """No event, and yet the id that the listener comes back with."""
    return b"id: %s\n\n" % position.encode()
