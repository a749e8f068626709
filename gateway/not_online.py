"""What a reader is told of what no store has at once (PS3.18 section 8.5): 202 while it is restored, else 503."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gateway.parts import Parts
from gateway.problem import Problem, on_away, response
from gateway.restoring import Expected
from streams.step import Away

_ELSEWHERE: Final = Problem(503, "The bytes are in no store that answers at once; ask again.", {"retry-after": "30"})


def on_not_online(parts: Parts) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def told(request: Request, _: Exception) -> Response:
        if request.method == "HEAD":
            return response(_ELSEWHERE)  # It reads nothing, and so nothing is brought for it.
        study, instance = str(request.path_params["study"]), request.path_params.get("instance")
        reader = request.client.host if request.client is not None else "unknown"
        try:
            expected = await parts.asking.ask(study, reader, instance)
        except Problem as problem:
            return response(problem)
        except Away as error:
            return await on_away(request, error)
        return response(_ELSEWHERE) if expected is None else _accepted(expected)

    return told


def _accepted(expected: Expected) -> Response:
    said = {
        "status": 202,
        "title": "It is being restored out of the archive. Ask again then, or listen to /events: nothing was sent.",
        "expected_at": expected.at,
    }
    headers = {"retry-after": str(expected.again_s), "cache-control": "no-store"}
    return Response(msgspec.json.encode(said), 202, headers, "application/json")
