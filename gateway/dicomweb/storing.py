"""STOW-RS under the same root: handed to the router as it comes, whose door is the only one (PS3.18 section 10.5)."""

from __future__ import annotations

from collections import Counter
from typing import Final

import anyio.to_thread
import structlog
from anyio import CapacityLimiter
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.dicomweb.handing import Handing, RouterAway
from gateway.parts import Parts
from gateway.problem import Problem
from gateway.same_origin import check_where_said
from streams.identity import uid_is_usable

_ASKED: Final = ("content-type", "content-length", "accept")
_ANSWERED: Final = ("content-type", "retry-after", "warning", "accept")


def routes(parts: Parts, root: str) -> list[BaseRoute]:
    """None where the site names no router to hand it to."""
    url = parts.settings.stow_url
    if url is None:
        return []
    storing = _Storing(Handing(url), parts.settings.workers)
    return [Route(f"{root}{path}", storing.store, methods=["POST"]) for path in ("/studies", "/studies/{study}")]


class _Storing:
    """So many at once, in threads of their own: a router that is slow keeps nobody waiting who reads. One address has
    half of them at most: one that sends a byte now and then leaves the rest to the others."""

    def __init__(self, handing: Handing, requests_max: int) -> None:
        self._handing, self._requests_max = handing, requests_max
        self._by_client: Counter[str] = Counter()
        # Those of anyio, out of which the loop can be asked for the next piece of a body.
        self._threads = CapacityLimiter(requests_max)

    async def store(self, request: Request) -> Response:
        check_where_said(request)
        study = request.path_params.get("study")
        if study is not None and not uid_is_usable(study):
            raise Problem(400, "A UID in the path is none: digits and dots, at most 64 characters.")
        client = request.client.host if request.client is not None else ""
        is_full = self._by_client.total() >= self._requests_max
        if is_full or self._by_client[client] >= -(-self._requests_max // 2):
            raise Problem(503, "Too many are storing at once; send it again.", {"retry-after": "5"})
        self._by_client[client] += 1
        try:
            return await self._handed(request, "/studies" if study is None else f"/studies/{study}")
        finally:
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]

    async def _handed(self, request: Request, path: str) -> Response:
        said = {name: request.headers[name] for name in _ASKED if name in request.headers}
        pieces = request.stream()
        try:
            answer = await anyio.to_thread.run_sync(
                lambda: self._handing.answer(path, said, pieces), limiter=self._threads
            )
        except RouterAway as error:
            structlog.get_logger().warning("router_away", kind=str(error))
            raise Problem(503, "The router does not answer; ask again.", {"retry-after": "5"}) from None
        kept = {name: answer.headers[name] for name in _ANSWERED if name in answer.headers}
        return Response(answer.data, answer.status, kept)
