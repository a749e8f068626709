"""What is asked and how soon it is answered, as metrics: by room, never by path, which holds UIDs."""

from __future__ import annotations

import time
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams import metrics

_DICOMWEB: Final = "dicomweb"
# The last word of a path of DICOMweb that is no search and no instance as a file.
_RESOURCES: Final = frozenset({"metadata", "pixeldata", "rendered", "thumbnail"})
_ROOMS: Final = frozenset({"study", "events", "openapi.json", "static"})
# Levels whose last word is a search (PS3.18 table 10.6.1-1).
_SEARCHES: Final = frozenset({"studies", "series", "instances"})


class Counting:
    """ASGI middleware, in front of everything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        room, began_s = room_of(scope["path"], scope["method"]), time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                metrics.GATEWAY_ANSWERS.labels(room, str(message["status"])).inc()
                metrics.GATEWAY_SECONDS.labels(room).observe(time.perf_counter() - began_s)
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Exception:
            # Answered outside of here, by what turns every exception that nobody planned into a 500.
            metrics.GATEWAY_ANSWERS.labels(room, "500").inc()
            raise


def room_of(path: str, method: str) -> str:
    """Who answers: a resource of DICOMweb, a page, events, or the viewer's files."""
    words = [word for word in path.split("/") if word]
    if words[:1] != [_DICOMWEB]:
        return words[0] if words and words[0] in _ROOMS else "viewer"
    last = words[-1]
    if method == "POST":
        return "store"
    if last in _RESOURCES:
        return last
    if "frames" in words:
        return "frames"
    if "bulkdata" in words:
        return "bulkdata"
    return "search" if last in _SEARCHES else "instances"
