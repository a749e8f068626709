"""Which path is which page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from gateway.pages import restoring, reviewing, showing
from gateway.parts import Parts
from gateway.problem import Problem
from streams.identity import uid_is_usable

_STATIC = Path(__file__).parent / "static"


class _Static(StaticFiles):
    """Asked after each time: a script of the version before would listen for what is told no more."""

    def file_response(self, *args: Any, **said: Any) -> Response:
        response = super().file_response(*args, **said)
        response.headers["cache-control"] = "no-cache"
        return response


def routes(parts: Parts) -> list[BaseRoute]:
    async def shown(request: Request) -> Response:
        return await showing.study(parts, _study(request), client_of(request))

    async def reviewed(request: Request) -> Response:
        study = _study(request)
        result = await reviewing.review(parts, request, study, client_of(request))
        return RedirectResponse(f"/study/{study}#{result}", 303)

    async def restored(request: Request) -> Response:
        study = _study(request)
        await restoring.restore(parts, request, study, client_of(request))
        return RedirectResponse(f"/study/{study}#copies-title", 303)

    return [
        Route("/study/{study}", shown, methods=["GET"]),
        Route("/study/{study}/reviews", reviewed, methods=["POST"]),
        Route("/study/{study}/restores", restored, methods=["POST"]),
        Mount("/static", _Static(directory=_STATIC)),
    ]


def client_of(request: Request) -> str:
    """Who asks, until there is sign-in: an address."""
    return request.client.host if request.client else ""


def _study(request: Request) -> str:
    uid = str(request.path_params["study"])
    if not uid_is_usable(uid):
        raise Problem(400, "The path names no study: it is no UID (PS3.5 section 9.1).")
    return uid
